-- The sums of months have the usage of these ranges as well. Where they did not have all before it, they go on not to count.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
UPDATE projections.usage_summed p
SET position = r.upto
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
WHERE p.shard = r.shard AND p.position = r.after /*citus AND p.shard = $1[1] */
