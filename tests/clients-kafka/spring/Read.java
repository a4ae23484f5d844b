import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import com.gk.ordermanagement.common.models.Event;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.springframework.kafka.support.serializer.JsonDeserializer;

/**
 * Reads records as a listener of Spring does: Read BROKERS TOPIC=COUNT ...
 *
 * <p>The class of each is what the record's own header `__TypeId__` names: there is no default, and
 * only the package of the older system is trusted. Fields that a class does not have are an error.
 * Prints one line of JSON per record, and fails if they do not come in time.
 */
public final class Read {
  private static final long PATIENCE_MS = 60_000;

  private static Map<String, Object> settings(String brokers) {
    Map<String, Object> settings = new HashMap<>();
    settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    settings.put(ConsumerConfig.GROUP_ID_CONFIG, "spring-" + UUID.randomUUID());
    settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    return settings;
  }

  private static JsonDeserializer<Event> deserializer() {
    // The mapper that Spring makes by itself, but for fields that nobody knows.
    ObjectMapper mapper = org.springframework.kafka.support.JacksonUtils.enhancedObjectMapper();
    mapper.enable(com.fasterxml.jackson.databind.DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
    JsonDeserializer<Event> deserializer = new JsonDeserializer<>(mapper);
    deserializer.addTrustedPackages("com.gk.ordermanagement.common.models");
    return deserializer;
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, Integer> left = new LinkedHashMap<>();
    for (String word : Arrays.asList(arguments).subList(1, arguments.length)) {
      int at = word.lastIndexOf('=');
      left.put(word.substring(0, at), Integer.parseInt(word.substring(at + 1)));
    }
    ObjectMapper json = new ObjectMapper().registerModule(new JavaTimeModule());
    json.disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS);
    long deadline = System.currentTimeMillis() + PATIENCE_MS;
    try (KafkaConsumer<String, Event> consumer =
        new KafkaConsumer<>(settings(arguments[0]), new StringDeserializer(), deserializer())) {
      consumer.subscribe(left.keySet());
      while (left.values().stream().anyMatch(count -> count > 0)) {
        if (System.currentTimeMillis() > deadline) {
          throw new IllegalStateException("these records did not come: " + left);
        }
        for (ConsumerRecord<String, Event> record : consumer.poll(Duration.ofSeconds(1))) {
          left.merge(record.topic(), -1, Integer::sum);
          Map<String, Object> line = new LinkedHashMap<>();
          line.put("topic", record.topic());
          line.put("key", record.key());
          line.put("class", record.value().getClass().getSimpleName());
          line.put("value", record.value());
          System.out.println(json.writeValueAsString(line));
        }
      }
    }
  }
}
