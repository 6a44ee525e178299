-- What was used in the ranges per account, resource and run: events that are not usage cut the usage of an account and resource into
-- runs.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[],
-- $4 accounts text[], $5 resources smallint[], $6 positions bigint[] (of what is not usage)
WITH splits AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY position) AS positions
    FROM unnest($4::text[], $5::smallint[], $6::bigint[]) AS c (account_id, resource, position)
    GROUP BY account_id, resource
)
SELECT e.account_id COLLATE "C" AS account_id, e.resource, e.shard, count(*) AS events, projections.total(e.amount) AS amount,
       max(e.position) AS position, max(e.recorded_at) AS as_of
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
-- LATERAL with OFFSET 0 keeps to the primary key: else statistics of a large log lead to reading all of it.
CROSS JOIN LATERAL (
    SELECT * FROM meter.events l
    WHERE l.shard = r.shard /*citus AND l.shard = $1[1] */ AND l.position > r.after AND l.position <= r.upto OFFSET 0
) AS e
LEFT JOIN splits c ON c.account_id = e.account_id AND c.resource = e.resource
WHERE e.type BETWEEN {{first_usage}} AND {{last_usage}}
GROUP BY 1, 2, 3, coalesce(width_bucket(e.position, c.positions), 0)
