-- Whether a shard has events of before events had a key: its first ones.
-- $1 shard int
SELECT EXISTS (SELECT FROM meter.events WHERE shard = $1 AND position = 1 AND event_key IS NULL)
