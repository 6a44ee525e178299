-- The batch that an event is in, and the hash of the batch before it.
-- $1 shard int, $2 position bigint
SELECT b.batch, b.previous
FROM meter.batches b
WHERE b.shard = $1 AND b.first_position <= $2 AND b.last_position >= $2
ORDER BY b.batch
LIMIT 1
