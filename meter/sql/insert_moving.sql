-- Who moves to which shard.
-- $1 shards int[], $2 accounts text[], $3 to shards int[]
INSERT INTO meter.moving (shard, account_id, to_shard)
SELECT shard, account_id, to_shard FROM unnest($1::int[], $2::text[], $3::int[]) AS n (shard, account_id, to_shard)
