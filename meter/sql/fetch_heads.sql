-- The last batch of these shards: what an anchor vouches for. Shards without a batch are left out.
-- $1 shards int[]
SELECT s.shard, b.batch, b.last_position, b.hash, b.recorded_at, b.generation
FROM meter.shards s
JOIN meter.batches b ON b.shard = s.shard AND b.batch = s.next_batch - 1
WHERE s.shard = ANY ($1)
ORDER BY s.shard
