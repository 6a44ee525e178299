-- credit_pruner removes evidence that is older than its retention, by functions, which triggers hold it to and count, and can do
-- nothing else. It has no DELETE, and UPDATE of columns only: with either of a whole table goes the right to lock it.
-- It does not read what it removes, which may name people: the functions have their owner's rights.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA meter TO credit_pruner;
    GRANT SELECT ON meter.batches, meter.shards TO credit_pruner;
    GRANT EXECUTE ON FUNCTION meter.prune_duplicates(int, text, bigint, bigint),
        meter.prune_rejections(int, text, bigint, bigint), meter.prune_rerouted(int, text, bigint, bigint) TO credit_pruner;
    GRANT SELECT ON meter.pruned, meter.pruned_counts TO credit_pruner;
    GRANT INSERT (shard, batch, usage_offset, accounts_offset, pruned_by) ON meter.pruned TO credit_pruner;
    GRANT UPDATE (batch, usage_offset, accounts_offset, pruned_by) ON meter.pruned TO credit_pruner;
END
$$
