-- Lock shards that have records to send on and that no other relay is at. Where a reversal waits for seconds it is looked what for:
-- perhaps for markers of transactions alone.
-- $1 most shards bigint
SELECT s.shard FROM meter.outbox_shards s
WHERE EXISTS (
    SELECT FROM meter.outbox o
    WHERE o.shard = s.shard
      AND (o.usage_end IS NULL OR o.held_at < now() - interval '5 seconds'
           OR o.usage_end <= (SELECT h.usage_offset FROM meter.shards h WHERE h.shard = s.shard)))
ORDER BY random()
LIMIT $1
FOR UPDATE OF s SKIP LOCKED;
