package com.example.peer;

/** A record after judgement; `reason` is null where it counts. Amounts are micro-units; `resource` is 0 of an opening. */
record Judged(byte[] value, String reason, int resource, long amount) {
    static final int OPENING = 0;
    static final int CREDITS = 1;
    static final int RUNS = 2;

    boolean counts() {
        return reason == null;
    }
}
