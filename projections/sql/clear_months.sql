-- Remove the months of accounts, to sum them up again in another zone.
-- $1 shards int[], $2 accounts text[]
WITH removed AS (
    DELETE FROM projections.usage_day_kinds k
    USING unnest($1::int[], $2::text[]) AS n (shard, account_id)
    WHERE k.shard = n.shard /*citus AND k.shard = $1[1] */ AND k.account_id = n.account_id
)
DELETE FROM projections.usage_months m
USING unnest($1::int[], $2::text[]) AS n (shard, account_id)
WHERE m.shard = n.shard /*citus AND m.shard = $1[1] */ AND m.account_id = n.account_id
