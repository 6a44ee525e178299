package com.example.peer;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;

/** Judges each record by the contract, and by what is stored under its identity. */
final class Judge implements FixedKeyProcessor<String, byte[], Judged> {
    static final String USAGE = "metering.usage";
    static final String ACCOUNTS = "metering.accounts";

    private final Reader reader = new Reader();
    private final Identities identities = new Identities();
    private FixedKeyProcessorContext<String, Judged> context;
    private KeyValueStore<byte[], byte[]> known;

    @Override
    public void init(FixedKeyProcessorContext<String, Judged> context) {
        this.context = context;
        this.known = context.getStateStore(Peer.IDENTITIES);
    }

    @Override
    public void process(FixedKeyRecord<String, byte[]> record) {
        String topic = context.recordMetadata().orElseThrow().topic().endsWith(USAGE) ? USAGE : ACCOUNTS;
        byte[] value = record.value();
        try {
            Event event = reader.read(topic, record.key(), value);
            byte[] content = content(event);
            byte[] before = known.putIfAbsent(identities.of(topic, event), content);
            if (before == null) {
                forward(record, new Judged(value, null, event.resource(), event.amount()));
            } else {
                forward(record, new Judged(value, Arrays.equals(before, content) ? "duplicate" : "id_reused", 0, 0));
            }
        } catch (FaultException fault) {
            forward(record, new Judged(value, fault.getMessage(), 0, 0));
        }
    }

    private void forward(FixedKeyRecord<String, byte[]> record, Judged judged) {
        FixedKeyRecord<String, Judged> made = record.withValue(judged);
        if (judged.counts()) {
            context.forward(made);
        } else {
            byte[] reason = judged.reason().getBytes(StandardCharsets.UTF_8);
            context.forward(made.withHeaders(new RecordHeaders(record.headers()).add("reason", reason)));
        }
    }

    /** What counts of an event when another comes with its identity. */
    private static byte[] content(Event event) {
        byte[] name = event.name().getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(2 + Long.BYTES + name.length).put((byte) event.kind()).put((byte) event.resource())
            .putLong(event.amount()).put(name).array();
    }
}
