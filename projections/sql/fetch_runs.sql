-- Runs of usage in the ranges, cut at the grants and reversals of their account and resource.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[], $4 accounts text[]
SELECT account_id, resource, sum(amount) FILTER (WHERE type < 10)::bigint AS amount,
       max(position) FILTER (WHERE type < 10) AS position, max(recorded_at) FILTER (WHERE type < 10) AS as_of
FROM (
    SELECT e.account_id, e.resource, e.type, e.amount, e.position, e.recorded_at,
           count(*) FILTER (WHERE e.type > 4) OVER (PARTITION BY e.account_id, e.resource ORDER BY e.position) AS run
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    -- LATERAL with OFFSET 0 keeps to the primary key: else statistics of a large log lead to reading all of it.
    CROSS JOIN LATERAL (
        SELECT * FROM meter.events l
        WHERE l.shard = r.shard AND l.position > r.after AND l.position <= r.upto OFFSET 0
    ) AS e
    WHERE e.account_id = ANY($4::text[]) AND (e.type BETWEEN 1 AND 4 OR e.type IN (13, 14))
) AS numbered
GROUP BY account_id, resource, run
HAVING bool_or(type < 10)
ORDER BY position
