-- Add the ranges to usage by day, and return per account and resource what was used, beside the balance so far.
-- Reversals are added to usage by day alone: to a balance they are steps of their own.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
WITH usage AS MATERIALIZED (
    SELECT e.account_id COLLATE "C" AS account_id, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, e.resource, e.type,
           e.name COLLATE "C" AS name, e.shard, count(*) AS events, sum(e.amount)::bigint AS amount,
           max(e.position) AS position, max(e.recorded_at) AS as_of
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    -- LATERAL with OFFSET 0 keeps to the primary key: else statistics of a large log lead to reading all of it.
    CROSS JOIN LATERAL (
        SELECT * FROM meter.events l
        WHERE l.shard = r.shard AND l.position > r.after AND l.position <= r.upto OFFSET 0
    ) AS e
    WHERE e.type BETWEEN 1 AND 4 OR e.type = 14
    GROUP BY 1, 2, 3, 4, 5, 6
), added AS (
    INSERT INTO projections.usage_days AS d (account_id, day, resource, type, name, shard, events, amount)
    SELECT account_id, day, resource, type, name, shard, events, amount FROM usage
    ORDER BY account_id, day, resource, type, name  -- along the index: a quarter less work than in any order
    ON CONFLICT (account_id, day, resource, type, name)
    DO UPDATE SET events = d.events + excluded.events, amount = d.amount + excluded.amount
), totals AS (
    SELECT account_id, resource, shard, sum(events)::bigint AS events, sum(amount)::bigint AS amount,
           max(position) AS position, max(as_of) AS as_of
    FROM usage
    WHERE type < 10
    GROUP BY account_id, resource, shard
)
SELECT t.account_id, t.resource, t.shard, t.events, t.amount, t.position, t.as_of,
       s.granted, s.consumed, s.base, s.epoch, s.boundaries, s.position AS state_position, s.as_of AS state_as_of
FROM totals t
LEFT JOIN projections.balance_states s ON s.account_id = t.account_id AND s.resource = t.resource
