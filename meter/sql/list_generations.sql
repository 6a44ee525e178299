-- The generations that were begun, in order.
-- $1 shard int
SELECT generation, batch, from_position, begun_at, begun_by, reason FROM meter.generations WHERE shard = $1 ORDER BY generation
