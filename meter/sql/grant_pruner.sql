-- credit_pruner removes evidence that is older than its retention, which triggers hold it to and count, and can do nothing else.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA meter TO credit_pruner;
    GRANT SELECT ON meter.batches, meter.shards TO credit_pruner;
    GRANT SELECT, DELETE ON meter.duplicates, meter.rejections, meter.rerouted TO credit_pruner;
    GRANT SELECT, INSERT, UPDATE ON meter.pruned TO credit_pruner;
    GRANT SELECT ON meter.pruned_counts TO credit_pruner;
END
$$
