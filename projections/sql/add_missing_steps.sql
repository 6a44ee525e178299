-- Give epochs whose published states are not all kept, as from before they were, those that a fold of one event at a time would have
-- published: the first state, and each that has another percent than the one before. Of closings none is added: they change no percent.
-- $1 shard int, $2 accounts text[] (of each epoch), $3 resources smallint[], $4 epochs int[], $5 positions bigint[] (of the first state),
-- $6 ends bigint[] (position of the last state), $7 times timestamptz[], $8 allocations text[], $9 consumed text[] (of the first state),
-- $10 accounts text[] (of each time that one of these was closed or opened again), $11 resources smallint[], $12 epochs int[],
-- $13 positions bigint[], $14 times timestamptz[]
WITH epochs AS MATERIALIZED (
    SELECT account_id COLLATE "C" AS account_id, resource, epoch, position, finish, at, allocation::numeric, consumed::numeric
    FROM unnest($2::text[], $3::smallint[], $4::int[], $5::bigint[], $6::bigint[], $7::timestamptz[], $8::text[], $9::text[])
         AS e (account_id, resource, epoch, position, finish, at, allocation, consumed)
), moves AS (
    SELECT e.account_id, e.resource, e.epoch, l.position, l.recorded_at,
           CASE l.type WHEN {{usage.reversed.v1}} THEN -l.amount ELSE l.amount END AS amount
    FROM epochs e
    JOIN meter.events l ON l.account_id = e.account_id AND l.resource = e.resource AND l.position > e.position AND l.position <= e.finish
    WHERE l.shard = $1 AND l.type IN ({{usage}}, {{usage.reversed.v1}})
    UNION ALL
    SELECT account_id COLLATE "C", resource, epoch, position, at, 0
    FROM unnest($10::text[], $11::smallint[], $12::int[], $13::bigint[], $14::timestamptz[])
         AS t (account_id, resource, epoch, position, at)
    UNION ALL
    SELECT account_id, resource, epoch, position, at, consumed FROM epochs
), states AS (
    SELECT account_id, resource, epoch, position, sum(amount) OVER run AS consumed, max(recorded_at) OVER run AS at
    FROM moves
    WINDOW run AS (PARTITION BY account_id, resource, epoch ORDER BY position)
), turns AS (
    SELECT s.*, e.allocation, s.position = e.position AS is_first, percent,
           lag(percent) OVER (PARTITION BY s.account_id, s.resource, s.epoch ORDER BY s.position) AS before
    FROM states s
    JOIN epochs e ON e.account_id = s.account_id AND e.resource = s.resource AND e.epoch = s.epoch
    CROSS JOIN LATERAL (SELECT floor(s.consumed * 100 / nullif(e.allocation, 0)) AS percent) AS p
)
INSERT INTO projections.exhaustion_steps (shard, account_id, resource, position, epoch, allocation, consumed, at)
SELECT $1, account_id, resource, position, epoch, allocation, consumed, at
FROM turns
WHERE is_first OR percent IS DISTINCT FROM before
ON CONFLICT (shard, account_id, resource, position) DO NOTHING
RETURNING 1
