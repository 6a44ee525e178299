-- Forget these accounts by the list outside the database, where they are not forgotten already. Returns which were not.
-- $1 forgotten_at timestamptz, $2 shards int[], $3 accounts text[]
INSERT INTO meter.keys AS k (shard, account_id, key, made_at, forgotten_at)
SELECT shard, account_id, NULL, $1, $1
FROM unnest($2::int[], $3::text[]) AS n (shard, account_id)
ON CONFLICT (shard, account_id) DO UPDATE SET key = NULL, forgotten_at = excluded.forgotten_at
WHERE k.key IS NOT NULL
RETURNING account_id
