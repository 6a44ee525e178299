-- Lock shards that have records to send on and that no other relay is at. Where a reversal waits for seconds it is looked what for:
-- perhaps for markers of transactions alone.
-- $1 the shards to lock int[] or null (any), $2 shards to leave out int[]
SELECT s.shard FROM meter.outbox_shards s
WHERE EXISTS (
    SELECT FROM meter.outbox o
    WHERE o.shard = s.shard /*citus AND o.shard = ($1::int[])[1] */
      AND (o.usage_end IS NULL OR o.held_at < now() - interval '5 seconds'
           OR o.usage_end <= (SELECT h.usage_offset FROM meter.shards h WHERE h.shard = s.shard /*citus AND h.shard = ($1::int[])[1] */)))
  AND ($1::int[] IS NULL OR s.shard = ANY ($1)) /*citus AND s.shard = ($1::int[])[1] */
  AND s.shard <> ALL ($2::int[])
FOR UPDATE OF s SKIP LOCKED;
