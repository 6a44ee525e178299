-- Throw the keys of these accounts away, for good. One that has none yet never gets one.
-- $1 shard int, $2 forgotten_at timestamptz, $3 accounts text[]
INSERT INTO meter.keys AS k (shard, account_id, key, made_at, forgotten_at)
SELECT $1, account_id, NULL, $2, $2
FROM unnest($3::text[]) AS n (account_id)
ON CONFLICT (shard, account_id) DO UPDATE SET key = NULL, forgotten_at = excluded.forgotten_at
WHERE k.key IS NOT NULL
