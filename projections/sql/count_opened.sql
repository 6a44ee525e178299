-- The accounts of shards that were opened.
-- $1 shards int[]
SELECT count(*) FROM projections.account_states WHERE shard = ANY($1) AND opened_at IS NOT NULL
