package com.example.peer;

import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Credit metering with Kafka Streams alone: exactly once, identities in a store, a log of what counts, balances, notices.
 *
 * <p>Arguments: bootstrap, application id, prefix of the input topics, prefix of the output topics, folder for the stores.
 */
public final class Peer {
    static final String IDENTITIES = "identities";
    static final String REACHED = "reached";

    public static void main(String[] arguments) throws InterruptedException {
        String input = arguments[2];
        String output = arguments[3];
        Properties settings = settings(arguments[0], arguments[1], arguments[4]);
        KafkaStreams streams = new KafkaStreams(topology(input, output, settings), settings);
        CountDownLatch stopped = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR || now == KafkaStreams.State.NOT_RUNNING) {
                stopped.countDown();
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        stopped.await();
        if (streams.state() == KafkaStreams.State.ERROR) {
            System.exit(1);
        }
    }

    static Properties settings(String bootstrap, String application, String folder) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        // The order of an opening and of usage does not matter for the sums: neither topic waits for the other.
        settings.put(StreamsConfig.MAX_TASK_IDLE_MS_CONFIG, -1L);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 128L << 20);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 64L << 20);
        // The first batch of a transaction is refused until the one before is closed; that takes a few milliseconds.
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.RETRY_BACKOFF_MS_CONFIG), 10);
        return settings;
    }

    /** No step changes the key, so nothing travels through a topic between two steps. */
    static Topology topology(String input, String output, Properties settings) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(IDENTITIES), Serdes.ByteArray(), Serdes.ByteArray()));
        builder.addStateStore(Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(REACHED), Serdes.String(), Serdes.ByteArray()).withCachingEnabled());
        Consumed<String, byte[]> plain = Consumed.with(Serdes.String(), Serdes.ByteArray());
        Produced<String, byte[]> bytes = Produced.with(Serdes.String(), Serdes.ByteArray());

        KStream<String, Judged> judged = builder.stream(input + Judge.USAGE, plain)
            .merge(builder.stream(input + Judge.ACCOUNTS, plain))
            .processValues(Judge::new, IDENTITIES);
        judged.filter((account, each) -> !each.counts()).mapValues(Judged::value).to(output + "rejections", bytes);
        KStream<String, Judged> counted = judged.filter((account, each) -> each.counts());
        counted.mapValues(Judged::value).to(output + "log", bytes);
        KStream<String, Balance> balances = counted
            .groupByKey(Grouped.with(Serdes.String(), null))
            .aggregate(
                () -> Balance.NONE,
                (account, each, balance) -> balance.after(each),
                Materialized.<String, Balance, KeyValueStore<Bytes, byte[]>>as("balances")
                    .withKeySerde(Serdes.String())
                    .withValueSerde(Balance.SERDE)
                    .withCachingEnabled())
            .toStream();
        balances.mapValues(Balance::json).to(output + "balances", bytes);
        balances.processValues(Notices::new, REACHED).to(output + "notices", bytes);
        return builder.build(settings);
    }

    private Peer() {}
}
