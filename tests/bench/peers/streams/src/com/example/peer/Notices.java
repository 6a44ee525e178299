package com.example.peer;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;

/** Each line of an account that is reached becomes one notice for each channel; the store has the highest reached. */
final class Notices implements FixedKeyProcessor<String, Balance, byte[]> {
    private static final int[] BANNERS = {20, 50, 70, 80, 90, 100};
    private static final int[] EMAILS = {50, 70, 80, 90};

    private FixedKeyProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> reached;

    @Override
    public void init(FixedKeyProcessorContext<String, byte[]> context) {
        this.context = context;
        this.reached = context.getStateStore(Peer.REACHED);
    }

    @Override
    public void process(FixedKeyRecord<String, Balance> record) {
        Balance now = record.value();
        byte[] known = reached.get(record.key());
        byte[] before = known == null ? new byte[2] : known;
        byte[] after = {
            tell(record, "model_credits", before[0], now.usedCredits(), now.grantedCredits()),
            tell(record, "tool_runs", before[1], now.usedRuns(), now.grantedRuns()),
        };
        if (after[0] != before[0] || after[1] != before[1]) {
            reached.put(record.key(), after);
        }
    }

    /** The highest line reached, after the notices of those above `before`. */
    private byte tell(FixedKeyRecord<String, Balance> record, String resource, int before, long used, long granted) {
        int highest = before;
        for (int line : BANNERS) {
            if (granted > 0 && line > before && used * 100 >= line * granted) {
                highest = line;
                forward(record, resource, "banner", line);
            }
        }
        for (int line : EMAILS) {
            if (line > before && line <= highest) {
                forward(record, resource, "email", line);
            }
        }
        return (byte) highest;
    }

    private void forward(FixedKeyRecord<String, Balance> record, String resource, String channel, int line) {
        String text = "{\"resource\":\"" + resource + "\",\"channel\":\"" + channel + "\",\"threshold\":" + line + "}";
        context.forward(record.withValue(text.getBytes(StandardCharsets.US_ASCII)));
    }
}
