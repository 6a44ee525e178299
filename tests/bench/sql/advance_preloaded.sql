-- Move a shard's head past the batch just made.
-- $1 int: shard
UPDATE meter.shards s
SET next_position = b.last_position + 1, next_batch = b.batch + 1, usage_offset = b.usage_to, head = b.hash
FROM meter.batches b
WHERE s.shard = $1 AND b.shard = s.shard AND b.batch = s.next_batch
