import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Runs a file of Flink SQL statements, which `;` at the end of a line separates. Prints each row of each query as
 * `N|row`, where N counts the queries, and `N|error|message` for one that fails.
 * Arguments: `batch` or `streaming`, the file.
 */
public class FlinkSql {
  public static void main(String[] arguments) throws Exception {
    EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance();
    TableEnvironment flink =
        TableEnvironment.create(
            (arguments[0].equals("batch") ? settings.inBatchMode() : settings.inStreamingMode()).build());
    flink.getConfig().set("table.local-time-zone", "UTC");
    flink.getConfig().set("parallelism.default", "1");
    int query = 0;
    for (String statement : Files.readString(Path.of(arguments[1])).split(";\\s*\n")) {
      if (statement.isBlank()) continue;
      boolean isQuery = statement.strip().matches("(?s)(SELECT|WITH).*");
      if (isQuery) query++;
      try (CloseableIterator<Row> rows = flink.executeSql(statement).collect()) {
        while (isQuery && rows.hasNext()) System.out.println(query + "|" + rows.next());
      } catch (Exception error) {
        Throwable cause = error;
        while (cause.getCause() != null) cause = cause.getCause();
        System.out.println(query + "|error|" + String.valueOf(cause.getMessage()).split("\n")[0]);
      }
    }
    System.exit(0);
  }
}
