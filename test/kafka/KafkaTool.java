import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Administers and reads a Kafka for the tests, by Apache's own client. One JSON object a line comes in. Frames go out:
 * a type byte, a length (int32), the content. Types: J the JSON answer, E an error's text, R records (see `append`).
 */
public class KafkaTool {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int FRAME_BYTES = 1 << 20;
  private static DataOutputStream out;

  public static void main(String[] args) throws Exception {
    out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", args[0]);
    settings.put("default.api.timeout.ms", "120000");
    settings.put("request.timeout.ms", "30000");
    settings.put("reconnect.backoff.max.ms", "200");
    try (Admin admin = Admin.create(settings)) {
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      for (String line; (line = lines.readLine()) != null; ) {
        try {
          JsonNode request = JSON.readTree(line);
          frame('J', JSON.writeValueAsBytes(answer(admin, settings, request)));
        } catch (Exception error) {
          Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
          frame('E', cause.toString().getBytes(StandardCharsets.UTF_8));
        }
        out.flush();
      }
    }
  }

  private static ObjectNode answer(Admin admin, Map<String, Object> settings, JsonNode request) throws Exception {
    ObjectNode answer = JSON.createObjectNode();
    String topic = request.path("topic").asText();
    switch (request.get("command").asText()) {
      // Asks this one broker whether the cluster has it. Others can still list it when it was killed.
      case "joined" -> {
        Map<String, Object> own = new HashMap<>(settings);
        own.put("bootstrap.servers", request.get("broker").asText());
        own.put("default.api.timeout.ms", "2000");
        own.put("request.timeout.ms", "2000");
        try (Admin one = Admin.create(own)) {
          int id = request.get("id").asInt();
          answer.put("joined", one.describeCluster().nodes().get().stream().anyMatch(node -> node.id() == id));
        } catch (ExecutionException error) {
          answer.put("joined", false);
        }
      }
      case "createTopic" -> {
        Optional<Integer> partitions = Optional.of(request.get("partitions").asInt());
        NewTopic created = new NewTopic(topic, partitions, Optional.<Short>empty()).configs(strings(request.get("config")));
        admin.createTopics(List.of(created)).all().get();
        // The answer can come before the leaders know that they lead: ask each for the end of its partitions.
        Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
        for (int each = 0; each < partitions.get(); each++) ends.put(new TopicPartition(topic, each), OffsetSpec.latest());
        for (int left = 200; ; left--) {
          try {
            admin.listOffsets(ends).all().get();
            break;
          } catch (ExecutionException error) {
            // A broker that has not heard of the topic yet says that it does not exist.
            if (!(error.getCause() instanceof UnknownTopicOrPartitionException) || left == 0) throw error;
            Thread.sleep(100);
          }
        }
      }
      case "deleteTopic" -> admin.deleteTopics(List.of(topic)).all().get();
      case "addPartitions" ->
          admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(request.get("partitions").asInt()))).all().get();
      case "configureTopic" -> {
        List<AlterConfigOp> changes = strings(request.get("config")).entrySet().stream()
            .map(entry -> new AlterConfigOp(new ConfigEntry(entry.getKey(), entry.getValue()), AlterConfigOp.OpType.SET))
            .toList();
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic), changes)).all().get();
      }
      case "partitions" -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().forEach(
          partition -> {
            ObjectNode each = answer.withArray("/partitions").addObject();
            each.put("leader", partition.leader() == null ? -1 : partition.leader().id());
            partition.isr().forEach(node -> each.withArray("/isr").add(node.id()));
          });
      case "addUser" -> {
        for (JsonNode mechanism : request.get("mechanisms")) {
          ScramMechanism scram = ScramMechanism.fromMechanismName(mechanism.asText());
          admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
              request.get("user").asText(), new ScramCredentialInfo(scram, 4096), request.get("password").asText())))
              .all().get();
        }
      }
      case "allow" -> admin.createAcls(List.of(new AclBinding(
          new ResourcePattern(ResourceType.fromString(request.get("resource").asText()), request.get("name").asText(),
              PatternType.PREFIXED),
          new AccessControlEntry("User:" + request.get("user").asText(), "*",
              AclOperation.fromString(request.get("operation").asText()), AclPermissionType.ALLOW)))).all().get();
      // The partitions that Apache's producer chooses for keys in hex.
      case "partitionsOf" -> {
        int partitions = request.get("partitions").asInt();
        for (JsonNode key : request.get("keys")) {
          byte[] bytes = HexFormat.of().parseHex(key.asText());
          answer.withArray("/partitions").add(BuiltInPartitioner.partitionForKey(bytes, partitions));
        }
      }
      case "withdraw" -> admin.deleteAcls(List.of(AclBindingFilter.ANY)).all().get();
      case "read" -> read(settings, List.of(topic), JSON.createObjectNode());
      case "readNew" -> {
        String prefix = request.get("prefix").asText();
        List<String> topics = admin.listTopics().names().get().stream().filter(name -> name.startsWith(prefix)).toList();
        if (!topics.isEmpty()) read(settings, topics, request.get("offsets"));
      }
      default -> throw new IllegalArgumentException("unknown command: " + request);
    }
    return answer;
  }

  private static Map<String, String> strings(JsonNode object) {
    Map<String, String> strings = new HashMap<>();
    object.properties().forEach(entry -> strings.put(entry.getKey(), entry.getValue().asText()));
    return strings;
  }

  /**
   * Every record that the topics have now, of all partitions. Within a partition they are in order.
   *
   * @param offsets the first offset of a partition, by `topic/partition`; otherwise it is read from its beginning
   */
  private static void read(Map<String, Object> settings, List<String> topics, JsonNode offsets) throws Exception {
    Map<String, Object> own = new HashMap<>(settings);
    own.put("allow.auto.create.topics", "false");
    own.put("auto.offset.reset", "none");
    own.put("max.poll.records", "5000");
    own.put("fetch.max.wait.ms", "100");
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(own, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (String topic : topics) {
        List<PartitionInfo> its = consumer.partitionsFor(topic);
        if (its.isEmpty()) throw new IllegalArgumentException("there is no topic " + topic);
        its.forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
      }
      consumer.assign(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      consumer.seekToBeginning(partitions);
      for (TopicPartition each : partitions) {
        JsonNode offset = offsets.path(each.topic() + "/" + each.partition());
        if (offset.isNumber()) consumer.seek(each, offset.asLong());
      }
      while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(FRAME_BYTES);
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          if (record.offset() >= ends.get(new TopicPartition(record.topic(), record.partition()))) continue;
          append(new DataOutputStream(bytes), record);
          if (bytes.size() < FRAME_BYTES) continue;
          frame('R', bytes.toByteArray());
          bytes.reset();
        }
        frame('R', bytes.toByteArray());
      }
    }
  }

  /** topic, partition, offset, timestamp, key, value, count of headers, name and value of each. Length -1 stands for null. */
  private static void append(DataOutputStream bytes, ConsumerRecord<byte[], byte[]> record) throws Exception {
    append(bytes, record.topic().getBytes(StandardCharsets.UTF_8));
    bytes.writeInt(record.partition());
    bytes.writeLong(record.offset());
    bytes.writeLong(record.timestamp());
    append(bytes, record.key());
    append(bytes, record.value());
    Header[] headers = record.headers().toArray();
    bytes.writeInt(headers.length);
    for (Header header : headers) {
      append(bytes, header.key().getBytes(StandardCharsets.UTF_8));
      append(bytes, header.value());
    }
  }

  private static void append(DataOutputStream bytes, byte[] content) throws Exception {
    bytes.writeInt(content == null ? -1 : content.length);
    if (content != null) bytes.write(content);
  }

  private static void frame(char type, byte[] content) throws Exception {
    out.writeByte(type);
    out.writeInt(content.length);
    out.write(content);
  }
}
