-- Balances that differ from the log: sums of its events, and what projections/walk.py found of each.
-- $1 shard int, $2 position bigint,
-- $3 accounts text[], $4 resources smallint[], $5 granted text[], $6 boundaries text[], $7 bases text[],
-- $8 epochs int[]
WITH walked AS MATERIALIZED (
    SELECT account_id, resource, granted::numeric, boundaries::numeric[], base::numeric, epoch
    FROM unnest($3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::int[])
         AS w (account_id, resource, granted, boundaries, base, epoch)
), openings AS MATERIALIZED (
    SELECT account_id, position, recorded_at
    FROM (
        SELECT account_id, position, recorded_at, row_number() OVER (PARTITION BY account_id ORDER BY position) AS n
        FROM meter.events
        WHERE shard = $1 AND position <= $2 AND type = {{account.opened.v1}}
    ) AS opened
    WHERE n = 1  -- the first one wins
), closings AS MATERIALIZED (
    SELECT account_id, position, recorded_at, closed
    FROM (
        SELECT e.account_id, e.position, e.recorded_at, e.type = {{account.closed.v1}} AS closed,
               lag(e.type = {{account.closed.v1}}, 1, false) OVER (PARTITION BY e.account_id ORDER BY e.position) AS before
        FROM meter.events e
        JOIN openings o ON o.account_id = e.account_id AND e.position > o.position
        WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{account.closed.v1}}, {{account.reopened.v1}})
    ) AS each
    WHERE closed <> before  -- closing what is closed changes nothing
), standing AS MATERIALIZED (
    SELECT o.account_id,
           coalesce((SELECT c.closed FROM closings c WHERE c.account_id = o.account_id
                     ORDER BY c.position DESC LIMIT 1), false) AS closed
    FROM openings o
), moved AS MATERIALIZED (
    SELECT account_id, resource, min(position) AS first, max(position) AS position, max(recorded_at) AS as_of,
           sum(CASE WHEN type = {{usage.reversed.v1}} THEN -amount
                    WHEN type <= {{last_usage}} THEN amount ELSE 0 END) AS consumed,
           coalesce(bool_and(source = {{own_source}}) FILTER (WHERE type = {{credits.granted.v1}}), true) AS free_only
    FROM meter.events
    WHERE shard = $1 AND position <= $2
      AND type IN ({{usage}}, {{usage.reversed.v1}}, {{credits.granted.v1}}, {{credits.revoked.v1}})
    GROUP BY account_id, resource
), lived AS MATERIALIZED (  -- what happened to the account counts once there is a balance
    SELECT m.account_id, m.resource, max(h.position) AS position, max(h.recorded_at) AS as_of
    FROM moved m
    JOIN (
        SELECT account_id, position, recorded_at FROM openings
        UNION ALL
        SELECT account_id, position, recorded_at FROM closings
    ) AS h ON h.account_id = m.account_id AND h.position > m.first
    GROUP BY m.account_id, m.resource
), expected AS (
    SELECT m.account_id, m.resource, coalesce(w.granted, 0) AS granted, m.consumed,
           coalesce(w.base, 0) AS base, coalesce(w.epoch, 0) AS epoch,
           coalesce(w.boundaries, '{}') AS boundaries, greatest(m.position, l.position) AS position,
           greatest(m.as_of, l.as_of) AS as_of, a.account_id IS NOT NULL AS opened,
           coalesce(a.closed, false) AS closed, m.free_only
    FROM moved m
    LEFT JOIN standing a ON a.account_id = m.account_id
    LEFT JOIN lived l ON l.account_id = m.account_id AND l.resource = m.resource
    LEFT JOIN walked w ON w.account_id = m.account_id AND w.resource = m.resource
), stored AS (
    SELECT account_id, resource, granted, consumed, base, epoch, boundaries, position, as_of, opened, closed, free_only
    FROM projections.balance_states
    WHERE shard = $1
)
SELECT coalesce(s.account_id, e.account_id) AS account_id,
       CASE coalesce(s.resource, e.resource) WHEN {{model_credits}} THEN 'model_credits' ELSE 'tool_runs' END AS what,
       to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e ON e.account_id = s.account_id COLLATE "default" AND e.resource = s.resource
WHERE s.account_id IS NULL OR e.account_id IS NULL
   OR (s.granted, s.consumed, s.base, s.epoch, s.boundaries, s.position, s.as_of, s.opened, s.closed, s.free_only)
      IS DISTINCT FROM
      (e.granted, e.consumed, e.base, e.epoch, e.boundaries, e.position, e.as_of, e.opened, e.closed, e.free_only)
ORDER BY 1, 2
