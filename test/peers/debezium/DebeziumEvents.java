import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.util.Map;
import java.util.Properties;

/**
 * Debezium's embedded engine: prints each change of a schema as `{"topic":…,"key":…,"value":…}`, with the schemas, until
 * its standard input ends.
 * Arguments: port, schema, and properties as `name=value` where they are not Debezium's defaults.
 */
public class DebeziumEvents {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.putAll(
        Map.ofEntries(
            Map.entry("name", "peers"),
            Map.entry("connector.class", "io.debezium.connector.mysql.MySqlConnector"),
            Map.entry("offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore"),
            Map.entry("schema.history.internal", "io.debezium.relational.history.MemorySchemaHistory"),
            Map.entry("snapshot.mode", "no_data"),
            Map.entry("topic.prefix", "peers"),
            Map.entry("database.hostname", "127.0.0.1"),
            Map.entry("database.port", arguments[0]),
            Map.entry("database.user", "root"),
            Map.entry("database.password", ""),
            Map.entry("database.server.id", "90210"),
            Map.entry("database.include.list", arguments[1])));
    for (int i = 2; i < arguments.length; i++) {
      String[] property = arguments[i].split("=", 2);
      properties.put(property[0], property[1]);
    }
    DebeziumEngine<ChangeEvent<String, String>> engine =
        DebeziumEngine.create(Json.class)
            .using(properties)
            .using((success, message, error) -> System.err.println(message))
            .notifying(
                event ->
                    System.out.println(
                        "{\"topic\":\"" + event.destination() + "\",\"key\":" + event.key() + ",\"value\":" + event.value() + "}"))
            .build();
    Thread thread = new Thread(engine);
    thread.start();
    while (System.in.read() >= 0) {
    }
    engine.close();
    thread.join();
    System.exit(0);
  }
}
