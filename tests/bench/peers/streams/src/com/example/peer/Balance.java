package com.example.peer;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What an account was granted and has used of both resources, in micro-units. */
record Balance(long grantedCredits, long grantedRuns, long usedCredits, long usedRuns) {
    static final Balance NONE = new Balance(0, 0, 0, 0);
    static final long MICRO = 1_000_000;
    static final long FREE_CREDITS = 75 * MICRO;
    static final long FREE_RUNS = 10_000 * MICRO;
    static final Serde<Balance> SERDE = Serdes.serdeFrom((topic, balance) -> bytes(balance), (topic, bytes) -> read(bytes));

    Balance after(Judged event) {
        return switch (event.resource()) {
            case Judged.OPENING -> new Balance(FREE_CREDITS, FREE_RUNS, usedCredits, usedRuns);
            case Judged.CREDITS -> new Balance(grantedCredits, grantedRuns, usedCredits + event.amount(), usedRuns);
            default -> new Balance(grantedCredits, grantedRuns, usedCredits, usedRuns + event.amount());
        };
    }

    byte[] json() {
        String text = "{\"model_credits\":{\"granted\":" + grantedCredits + ",\"used\":" + usedCredits
            + "},\"tool_runs\":{\"granted\":" + grantedRuns + ",\"used\":" + usedRuns + "}}";
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static byte[] bytes(Balance balance) {
        if (balance == null) {
            return null;
        }
        return ByteBuffer.allocate(4 * Long.BYTES).putLong(balance.grantedCredits).putLong(balance.grantedRuns)
            .putLong(balance.usedCredits).putLong(balance.usedRuns).array();
    }

    private static Balance read(byte[] bytes) {
        if (bytes == null) {
            return null;
        }
        ByteBuffer from = ByteBuffer.wrap(bytes);
        return new Balance(from.getLong(), from.getLong(), from.getLong(), from.getLong());
    }
}
