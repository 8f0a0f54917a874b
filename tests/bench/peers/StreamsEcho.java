import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/**
 * A peer of the bench: Kafka Streams with exactly_once_v2, which parses each record's JSON and copies the record.
 *
 * <p>Arguments: bootstrap, source, target, application id, state directory, commit interval in ms,
 * "tuned" or "defaults". Runs until it is told to stop.
 */
public final class StreamsEcho {
    private static final int MIB = 1 << 20;

    private StreamsEcho() {}

    public static void main(String[] args) throws InterruptedException {
        ObjectReader json = new ObjectMapper().reader();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(args[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .mapValues(value -> parsed(json, value))
                .to(args[2], Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings(args));
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        Thread.currentThread().join();
    }

    /** The value as it came, once its JSON is read and has what a command must have. */
    private static byte[] parsed(ObjectReader json, byte[] value) {
        try {
            if (!json.readTree(value).has("fund")) {
                throw new IllegalArgumentException("not a command");
            }
            return value;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static Properties settings(String[] args) {
        Properties given = new Properties();
        given.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        given.put(StreamsConfig.APPLICATION_ID_CONFIG, args[3]);
        given.put(StreamsConfig.STATE_DIR_CONFIG, args[4]);
        given.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        given.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args[5]);
        given.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        given.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        if (args[6].equals("tuned")) {
            tune(given);
        }
        return given;
    }

    /** For many records a second rather than few milliseconds each. */
    private static void tune(Properties given) {
        given.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        given.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        given.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 * MIB);
        given.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), MIB);
        given.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 20);
        given.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128 * MIB);
    }
}
