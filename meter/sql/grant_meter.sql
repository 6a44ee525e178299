-- credit_meter appends to the event store and moves the shards' cursors; it can change and delete nothing.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA meter TO credit_meter;
    GRANT SELECT ON ALL TABLES IN SCHEMA meter TO credit_meter;
    GRANT INSERT ON meter.events, meter.batches, meter.duplicates, meter.rejections, meter.gaps, meter.topics,
        meter.rerouted, meter.outbox, meter.remarks, meter.reversals TO credit_meter;
    GRANT DELETE ON meter.outbox TO credit_meter;
    GRANT UPDATE ON meter.outbox_shards TO credit_meter;
    GRANT UPDATE ON meter.shards TO credit_meter;
END
$$
