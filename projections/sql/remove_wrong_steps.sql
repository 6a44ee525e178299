-- Remove published states of balances that the log contradicts, with all others of their epochs: add_missing_steps.sql brings these.
-- $1 shard int, $2 position bigint, $3 accounts text[] (of each epoch), $4 resources smallint[], $5 epochs int[],
-- $6 positions bigint[], $7 recorded_at timestamptz[], $8 granted text[], $9 bases text[]
WITH epochs AS MATERIALIZED (
    SELECT account_id COLLATE "C" AS account_id, resource, epoch, position, granted::numeric - base::numeric AS allocation, base::numeric,
           lead(position, 1, 9223372036854775807) OVER (PARTITION BY account_id, resource ORDER BY epoch) AS finish
    FROM unnest($3::text[], $4::smallint[], $5::int[], $6::bigint[], $7::timestamptz[], $8::text[], $9::text[])
         AS e (account_id, resource, epoch, position, recorded_at, granted, base)
), stored AS MATERIALIZED (
    SELECT account_id, resource, position, epoch, allocation, consumed, at FROM projections.exhaustion_steps
    WHERE shard = $1 AND position <= $2
), splits AS MATERIALIZED (
    SELECT account_id, resource, array_agg(DISTINCT position ORDER BY position) AS positions
    FROM stored
    GROUP BY account_id, resource
), moved AS MATERIALIZED (  -- piece 0 ends at the first cut
    SELECT e.account_id, e.resource, width_bucket(e.position - 1, c.positions) AS piece,
           sum(CASE e.type WHEN {{usage.reversed.v1}} THEN -e.amount ELSE e.amount END) AS amount
    FROM meter.events e
    JOIN splits c ON c.account_id = e.account_id AND c.resource = e.resource
    WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{usage}}, {{usage.reversed.v1}})
    GROUP BY 1, 2, 3
), summed AS (
    SELECT c.account_id, c.resource, p.position,
           coalesce(sum(m.amount) OVER (PARTITION BY c.account_id, c.resource ORDER BY p.number), 0) AS total
    FROM splits c
    CROSS JOIN unnest(c.positions) WITH ORDINALITY AS p (position, number)
    LEFT JOIN moved m ON m.account_id = c.account_id AND m.resource = c.resource AND m.piece = p.number - 1
), expected AS MATERIALIZED (
    SELECT s.account_id, s.resource, s.position, e.epoch, e.allocation, s.total - e.base AS consumed
    FROM summed s
    JOIN epochs e ON e.account_id = s.account_id AND e.resource = s.resource AND s.position >= e.position AND s.position < e.finish
), wrong AS (
    SELECT s.account_id, s.resource, s.epoch
    FROM stored s
    LEFT JOIN expected e USING (account_id, resource, position)
    LEFT JOIN meter.events l ON l.shard = $1 AND l.position = s.position
    WHERE (s.epoch, s.allocation, s.consumed) IS DISTINCT FROM (e.epoch, e.allocation, e.consumed)
       OR l.account_id IS DISTINCT FROM s.account_id OR s.at < l.recorded_at
       OR s.at > l.recorded_at AND NOT EXISTS (
           SELECT FROM meter.events b
           WHERE b.shard = $1 AND b.position < s.position AND b.account_id = s.account_id AND b.recorded_at = s.at)
)
DELETE FROM projections.exhaustion_steps s
USING (SELECT DISTINCT account_id, resource, epoch FROM wrong) AS w
WHERE s.shard = $1 AND s.position <= $2 AND s.account_id = w.account_id AND s.resource = w.resource AND s.epoch = w.epoch
RETURNING 1
