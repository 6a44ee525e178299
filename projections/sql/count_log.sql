-- How many events a shard has up to a position.
-- $1 shard int, $2 position bigint
SELECT count(*) FROM meter.events WHERE shard = $1 AND position <= $2
