-- A reversal also waits for usage in partitions that are not its account's: what a client wrote there is on its way. So the outbox
-- keeps where each partition of usage ended when the reversal came. A meter of the version before leaves the column empty; the
-- reversal is then judged anew once its own partition is read, and waits for the others if it must.
ALTER TABLE meter.outbox ADD COLUMN usage_ends bigint[];
COMMENT ON COLUMN meter.outbox.usage_ends IS
    'of a waiting reversal: the end of each partition of usage, by its number; empty where only its own is waited for';

CREATE INDEX outbox_held ON meter.outbox (shard, kafka_offset) WHERE usage_end IS NOT NULL;
