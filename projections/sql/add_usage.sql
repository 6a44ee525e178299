-- Add the ranges to usage by day, and return per account, resource and run what was used, beside the balance so far:
-- events that are not usage cut the usage of an account and resource into runs.
-- Reversals are added to usage by day alone: to a balance they are steps of their own.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[],
-- $4 accounts text[], $5 resources smallint[], $6 positions bigint[] (of what is not usage)
WITH splits AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY position) AS positions
    FROM unnest($4::text[], $5::smallint[], $6::bigint[]) AS c (account_id, resource, position)
    GROUP BY account_id, resource
), lines AS (
    SELECT e.account_id COLLATE "C" AS account_id, (e.occurred_at AT TIME ZONE interval '0')::date AS day, e.resource,
           e.type, e.name COLLATE "C" AS name, e.shard,
           CASE WHEN e.type <= {{last_usage}} THEN coalesce(width_bucket(e.position, c.positions), 0) END AS run,
           e.amount, e.position, e.recorded_at
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    -- LATERAL with OFFSET 0 keeps to the primary key: else statistics of a large log lead to reading all of it.
    CROSS JOIN LATERAL (
        SELECT * FROM meter.events l
        WHERE l.shard = r.shard AND l.position > r.after AND l.position <= r.upto OFFSET 0
    ) AS e
    LEFT JOIN splits c ON c.account_id = e.account_id AND c.resource = e.resource
    WHERE e.type BETWEEN {{first_usage}} AND {{last_usage}} OR e.type = {{usage.reversed.v1}}
), usage AS MATERIALIZED (
    -- Both groupings in one pass: by day, and by run.
    SELECT account_id, day, resource, type, name, shard, run, grouping(day) = 1 AS by_run, count(*) AS events,
           projections.total(amount) AS amount, max(position) AS position, max(recorded_at) AS as_of
    FROM lines
    GROUP BY GROUPING SETS ((account_id, day, resource, type, name, shard), (account_id, resource, shard, run))
), added AS (
    INSERT INTO projections.usage_days AS d
        (account_id, day, resource, type, name, shard, events, amount, changed_at)
    SELECT account_id, day, resource, type, name, shard, events, amount, as_of
    FROM usage
    WHERE NOT by_run
    ORDER BY account_id, day, resource, type, name  -- along the index: a quarter less work than in any order
    ON CONFLICT (account_id, day, resource, type, name)
    DO UPDATE SET events = d.events + excluded.events, amount = d.amount + excluded.amount,
                  changed_at = greatest(d.changed_at, excluded.changed_at)
)
SELECT u.account_id, u.resource, u.shard, u.events, u.amount, u.position, u.as_of,
       s.granted, s.consumed, s.base, s.epoch, s.boundaries, s.position AS state_position, s.as_of AS state_as_of,
       s.opened, s.closed, s.free_only
FROM usage u
-- Fenced as above: else a fold of a hundred events may go through all balances.
LEFT JOIN LATERAL (
    SELECT * FROM projections.balance_states b WHERE b.account_id = u.account_id AND b.resource = u.resource OFFSET 0
) AS s ON true
WHERE u.by_run AND u.run IS NOT NULL
