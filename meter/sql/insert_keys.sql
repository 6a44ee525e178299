-- Keys of accounts that have none yet. The caller holds the shard's row lock: nobody else makes one meanwhile.
-- $1 shard int, $2 made_at timestamptz, $3 accounts text[], $4 keys bytea[]
INSERT INTO meter.keys (shard, account_id, key, made_at)
SELECT $1, account_id, key, $2
FROM unnest($3::text[], $4::bytea[]) AS n (account_id, key)
