-- Whether any of these shards has events of before events had a key; an index has them alone.
-- $1 shards int[]
SELECT EXISTS (SELECT FROM meter.events WHERE shard = ANY ($1::int[]) AND event_key IS NULL)
