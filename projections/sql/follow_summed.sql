-- The sums of days and months have the usage of these ranges as well. Where they did not have all before it, they go on not to count.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
WITH days AS (
    UPDATE projections.usage_days_summed p
    SET position = r.upto
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    WHERE p.shard = r.shard AND p.position = r.after /*citus AND p.shard = $1[1] */
    RETURNING p.shard
)
UPDATE projections.usage_summed p
SET position = r.upto
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
WHERE p.shard = r.shard AND p.position = r.after AND p.shard IN (SELECT d.shard FROM days d) /*citus AND p.shard = $1[1] */
