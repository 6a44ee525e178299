import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.CloudEventDeserializer;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads a topic from its beginning with Kafka's own client and the deserializer of the CloudEvents SDK:
 * java Read.java ADDRESS TOPIC COUNT. One line per event: id, type, subject and data as CloudEvents says them.
 */
class Read {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", CloudEventDeserializer.class.getName());
        settings.put("enable.auto.commit", "false");
        int left = Integer.parseInt(arguments[2]);
        try (KafkaConsumer<String, CloudEvent> consumer = new KafkaConsumer<>(settings)) {
            var partitions = consumer.partitionsFor(arguments[1]).stream()
                .map(found -> new TopicPartition(found.topic(), found.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (left > 0) {
                for (ConsumerRecord<String, CloudEvent> record : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(show(record.value()));
                    left--;
                }
            }
        }
    }

    private static String show(CloudEvent event) throws Exception {
        ArrayNode line = JSON.createArrayNode().add(event.getId()).add(event.getType()).add(event.getSubject());
        return line.add(JSON.readTree(event.getData().toBytes())).toString();
    }
}
