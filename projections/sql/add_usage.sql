-- What was used in the ranges per account, resource and run, as sum_usage.sql has it of one shard, with the usage that nobody is told of
-- added to its balances at once: where the whole percent stays what it is, and nothing
-- but usage is in the ranges. That is nearly all of it, and the service needs no state of it. Returns what was added, by shard and time
-- (account_id is null; events, and the balances as amount), and the rest beside the balance so far.
-- Moves the cursors on behind the ranges as well: whatever else this transaction writes, they are folded with it.
-- What is told follows the whole percent (`must_publish` and `percent_of` in Python); of an allocation of nothing the service decides.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[],
-- $4 accounts text[], $5 resources smallint[], $6 positions bigint[] (of what is not usage)
WITH splits AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY position) AS positions
    FROM unnest($4::text[], $5::smallint[], $6::bigint[]) AS c (account_id, resource, position)
    GROUP BY account_id, resource
), usage AS MATERIALIZED (
    SELECT e.account_id COLLATE "C" AS account_id, e.resource, e.shard,
           coalesce(width_bucket(e.position, c.positions), 0) AS run, c.positions IS NULL AS alone, count(*) AS events,
           projections.total(e.amount) AS amount, max(e.position) AS position, max(e.recorded_at) AS as_of
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    -- LATERAL with OFFSET 0 keeps to the primary key: else statistics of a large log lead to reading all of it.
    CROSS JOIN LATERAL (
        SELECT * FROM meter.events l
        WHERE l.shard = r.shard /*citus AND l.shard = $1[1] */ AND l.position > r.after AND l.position <= r.upto OFFSET 0
    ) AS e
    LEFT JOIN splits c ON c.account_id = e.account_id AND c.resource = e.resource
    WHERE e.type BETWEEN {{first_usage}} AND {{last_usage}}
    GROUP BY 1, 2, 3, 4, 5
), packed AS MATERIALIZED (
    -- As arrays, which are planned for as ten rows: so each balance is found along the key, whatever statistics say.
    SELECT array_agg(account_id) AS accounts, array_agg(resource) AS resources, array_agg(events) AS events,
           array_agg(amount) AS amounts, array_agg(position) AS positions, array_agg(as_of) AS times
    FROM usage
    WHERE alone
), added AS (
    UPDATE projections.balance_states s
    SET consumed = s.consumed + u.amount, position = u.position, as_of = greatest(s.as_of, u.as_of)
    FROM packed p
    CROSS JOIN LATERAL unnest(p.accounts, p.resources, p.events, p.amounts, p.positions, p.times)
        AS u (account_id, resource, events, amount, position, as_of)
    WHERE s.account_id = u.account_id AND s.resource = u.resource /*citus AND s.shard = $1[1] */ AND s.position < u.position
      AND (s.epoch = 0
           OR s.granted > s.base
              AND greatest(div((s.consumed - s.base) * 100, s.granted - s.base), 0)
                = greatest(div((s.consumed - s.base + u.amount) * 100, s.granted - s.base), 0))
    RETURNING s.account_id, s.resource, s.shard, u.events, s.as_of
), advanced AS (
    UPDATE projections.cursors c
    SET position = r.upto
    FROM unnest($1::int[], $3::bigint[]) AS r (shard, upto)
    WHERE c.projection = 'balance' AND c.shard = r.shard /*citus AND c.shard = $1[1] */
)
SELECT NULL::text AS account_id, NULL::smallint AS resource, shard, sum(events)::bigint AS events, count(*) AS amount,
       NULL::bigint AS position, as_of, NULL::numeric AS granted, NULL::numeric AS consumed, NULL::numeric AS base, NULL::int AS epoch,
       NULL::numeric[] AS boundaries, NULL::bigint AS state_position, NULL::timestamptz AS state_as_of, NULL::boolean AS opened,
       NULL::boolean AS closed, NULL::boolean AS free_only
FROM added
GROUP BY shard, as_of
UNION ALL
SELECT u.account_id, u.resource, u.shard, u.events, u.amount, u.position, u.as_of,
       s.granted, s.consumed, s.base, s.epoch, s.boundaries, s.position, s.as_of, s.opened, s.closed, s.free_only
FROM usage u
-- Fenced as above: else a fold of a hundred events may go through all balances.
LEFT JOIN LATERAL (
    SELECT * FROM projections.balance_states b WHERE b.account_id = u.account_id AND b.resource = u.resource
      /*citus AND b.shard = $1[1] */ OFFSET 0
) AS s ON true
-- NOT IN looks each up in a hash table.
WHERE NOT u.alone OR (u.account_id, u.resource) NOT IN (SELECT account_id, resource FROM added)
