import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a file of Flink SQL statements as sql-client.sh -f does, in one process: its INSERTs run until they fail.
 * Prints the version, then `error MESSAGE`. Argument: the file.
 */
public class RunSql {
  private static final Pattern SET = Pattern.compile("(?s)SET '(.*)' = '(.*)'");

  public static void main(String[] arguments) throws Exception {
    System.out.println("version " + EnvironmentInformation.getVersion());
    TableEnvironment flink =
        TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().build());
    flink.getConfig().set("parallelism.default", "2");
    flink.getConfig().set("restart-strategy.type", "none");
    List<TableResult> jobs = new ArrayList<>();
    String text = Files.readString(Path.of(arguments[0])).replaceAll("(?m)^--.*\n", "");
    try {
      for (String statement : text.split(";\\s*(\n|$)")) {
        Matcher set = SET.matcher(statement.strip());
        if (set.matches()) flink.getConfig().set(set.group(1), set.group(2));
        else if (!statement.isBlank()) {
          TableResult result = flink.executeSql(statement.strip());
          if (statement.strip().startsWith("INSERT")) jobs.add(result);
        }
      }
      for (TableResult job : jobs) job.await();
    } catch (Exception error) {
      Throwable cause = error;
      while (cause.getCause() != null) cause = cause.getCause();
      System.out.println("error " + String.valueOf(cause.getMessage()).replace('\n', ' '));
    }
    System.exit(0);
  }
}
