-- Balances that differ from the log, computed from the sums alone: the base of an epoch is the largest grant boundary
-- that was used up when the last grant came.
-- $1 shard int, $2 position bigint
WITH grants AS (
    SELECT account_id, resource, position, recorded_at,
           sum(amount) OVER (PARTITION BY account_id, resource ORDER BY position)::bigint AS boundary
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type = {{credits.granted.v1}}
), granted AS (
    SELECT account_id, resource, max(position) AS position, max(recorded_at) AS as_of, max(boundary) AS granted,
           count(*)::int AS epoch, array_agg(boundary ORDER BY position) AS boundaries
    FROM grants
    GROUP BY account_id, resource
), moved AS (
    SELECT e.account_id, e.resource, max(e.position) AS position, max(e.recorded_at) AS as_of,
           sum(CASE e.type WHEN {{usage.reversed.v1}} THEN -e.amount ELSE e.amount END)::bigint AS consumed,
           sum(CASE e.type WHEN {{usage.reversed.v1}} THEN -e.amount ELSE e.amount END)
               FILTER (WHERE e.position < g.position) AS before
    FROM meter.events e
    LEFT JOIN granted g ON g.account_id = e.account_id AND g.resource = e.resource
    WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{usage}}, {{usage.reversed.v1}})
    GROUP BY e.account_id, e.resource
), expected AS (
    SELECT account_id, resource, coalesce(g.granted, 0) AS granted, coalesce(m.consumed, 0) AS consumed,
           coalesce((SELECT max(b) FROM unnest(g.boundaries) b WHERE b <= coalesce(m.before, 0)), 0) AS base,
           coalesce(g.epoch, 0) AS epoch, coalesce(g.boundaries, '{}') AS boundaries,
           greatest(g.position, m.position) AS position, greatest(g.as_of, m.as_of) AS as_of
    FROM granted g
    FULL JOIN moved m USING (account_id, resource)
), stored AS (
    SELECT account_id, resource, granted, consumed, base, epoch, boundaries, position, as_of
    FROM projections.balance_states
    WHERE shard = $1
)
SELECT coalesce(s.account_id, e.account_id) AS account_id,
       CASE coalesce(s.resource, e.resource) WHEN {{model_credits}} THEN 'model_credits' ELSE 'tool_runs' END AS what,
       to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e ON e.account_id = s.account_id COLLATE "default" AND e.resource = s.resource
WHERE s.account_id IS NULL OR e.account_id IS NULL
   OR (s.granted, s.consumed, s.base, s.epoch, s.boundaries, s.position, s.as_of)
      IS DISTINCT FROM (e.granted, e.consumed, e.base, e.epoch, e.boundaries, e.position, e.as_of)
ORDER BY 1, 2
