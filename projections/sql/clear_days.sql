-- Remove the days of accounts, to count them again in another zone.
-- $1 shards int[], $2 accounts text[]
DELETE FROM projections.usage_totals t
USING unnest($1::int[], $2::text[]) AS n (shard, account_id)
WHERE t.shard = n.shard /*citus AND t.shard = $1[1] */ AND t.account_id = n.account_id
