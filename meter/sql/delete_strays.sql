-- Take away keys that were thrown away in a shard that is not their account's own.
-- $1 shards int[], $2 accounts text[]
DELETE FROM meter.keys k
USING unnest($1::int[], $2::text[]) AS n (shard, account_id)
WHERE k.shard = n.shard AND k.account_id = n.account_id AND k.key IS NULL
