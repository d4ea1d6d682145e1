import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.json.JsonConverter;

/**
 * Reads keys and values as a sink of Kafka Connect does, with Apache's JsonConverter, and writes again what it has read.
 * A frame comes in: K or V, a byte whether it has a schema, a length (int32, -1 for null), the content. A frame goes
 * out: J and what the converter writes, or E and an error; a length as above, the content.
 */
public class ConnectTool {
  public static void main(String[] args) throws Exception {
    DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
    JsonConverter[] converters = new JsonConverter[4];
    for (int each = 0; each < 4; each++) {
      converters[each] = new JsonConverter();
      converters[each].configure(Map.of("schemas.enable", String.valueOf(each % 2 == 1)), each < 2);
    }
    while (true) {
      int part;
      try {
        part = in.readByte();
      } catch (EOFException end) {
        return;
      }
      JsonConverter converter = converters[(part == 'K' ? 0 : 2) + in.readByte()];
      int length = in.readInt();
      byte[] content = length < 0 ? null : in.readNBytes(length);
      byte[] written;
      try {
        SchemaAndValue read = converter.toConnectData("topic", content);
        written = converter.fromConnectData("topic", read.schema(), read.value());
        out.writeByte('J');
      } catch (RuntimeException error) {
        written = error.toString().getBytes(StandardCharsets.UTF_8);
        out.writeByte('E');
      }
      out.writeInt(written == null ? -1 : written.length);
      if (written != null) out.write(written);
      if (in.available() == 0) out.flush();
    }
  }
}
