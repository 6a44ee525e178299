-- The zones whose days accounts have from now on; null: those of UTC.
-- $1 shards int[], $2 accounts text[], $3 time zones text[]
WITH moved AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[]) AS n (shard, account_id, time_zone)
), removed AS (
    DELETE FROM projections.usage_zones z
    USING moved n
    WHERE n.time_zone IS NULL AND z.shard = n.shard /*citus AND z.shard = $1[1] */ AND z.account_id = n.account_id
)
INSERT INTO projections.usage_zones (shard, account_id, time_zone)
SELECT shard, account_id, time_zone FROM moved WHERE time_zone IS NOT NULL
ON CONFLICT (shard, account_id) DO UPDATE SET time_zone = excluded.time_zone
