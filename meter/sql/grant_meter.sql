-- credit_meter appends to the event store and moves the shards' cursors; it can change and delete nothing in the log but
-- throw away the key of an account that is forgotten, and blank its refused records.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA meter TO credit_meter;
    GRANT SELECT ON ALL TABLES IN SCHEMA meter TO credit_meter;
    GRANT INSERT ON meter.events, meter.batches, meter.duplicates, meter.rejections, meter.gaps, meter.topics,
        meter.rerouted, meter.outbox, meter.remarks, meter.openings, meter.reversals, meter.waiting,
        meter.keys TO credit_meter;
    GRANT UPDATE (key, forgotten_at, cleared_at) ON meter.keys TO credit_meter;  -- to forget, which triggers hold to
    GRANT UPDATE (key, value, headers, detail, forgotten) ON meter.rejections TO credit_meter;  -- of who was forgotten
    GRANT DELETE ON meter.outbox TO credit_meter;
    GRANT UPDATE (shard) ON meter.outbox_shards TO credit_meter;  -- to lock a row
    GRANT INSERT (shard) ON meter.shards, meter.outbox_shards TO credit_meter;  -- for a topic that was grown
    GRANT UPDATE (usage_offset, accounts_offset, next_position, next_batch, head) ON meter.shards TO credit_meter;
END
$$
