-- Everything in the ranges that is not usage, in the order of positions. Account events bring their data.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
SELECT e.shard, e.position, e.type, e.account_id, e.resource, e.amount, e.occurred_at, e.recorded_at,
       CASE WHEN e.type BETWEEN 10 AND 12 THEN e.data::text END AS data
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
JOIN meter.events e ON e.shard = r.shard AND e.position > r.after AND e.position <= r.upto
WHERE e.type NOT BETWEEN 1 AND 4
ORDER BY e.shard, e.position
