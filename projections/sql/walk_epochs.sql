-- Every step of a shard's balances that may begin an epoch, worked out from the log alone: what was granted by then, and
-- the base and the number of the epoch after it. Steps are few beside usage, which is added up between them.
-- $1 shard int, $2 position bigint
WITH RECURSIVE openings AS MATERIALIZED (
    SELECT account_id, min(position) AS position
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type = {{account.opened.v1}}
    GROUP BY account_id
), moves AS MATERIALIZED (
    SELECT e.account_id, e.resource, e.position, e.type, e.amount, e.recorded_at
    FROM meter.events e
    WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{credits.granted.v1}}, {{credits.revoked.v1}}, {{usage.reversed.v1}})
), keys AS (  -- usage alone begins no epoch
    SELECT DISTINCT account_id, resource FROM moves
), welcomed AS (  -- the free grants that were stored behind the first opening
    SELECT e.account_id, e.resource
    FROM openings o
    JOIN meter.events e ON e.shard = $1 AND e.position > o.position AND e.position <= $2
                       AND e.position <= o.position + (SELECT count(*) FROM meter.resources)
    WHERE e.account_id = o.account_id AND e.type = {{credits.granted.v1}} AND e.source = {{own_source}}
), listed AS (
    SELECT account_id, resource, position, type, amount, recorded_at FROM moves
    UNION ALL
    -- The free grant stands for the opening where there is one; else the opening is a step of its own.
    SELECT k.account_id, k.resource, o.position, {{account.opened.v1}}, 0, e.recorded_at
    FROM keys k
    JOIN openings o USING (account_id)
    JOIN meter.events e ON e.shard = $1 AND e.position = o.position
    WHERE NOT EXISTS (SELECT FROM welcomed w WHERE w.account_id = k.account_id AND w.resource = k.resource)
), cuts AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY position) AS positions
    FROM listed
    GROUP BY account_id, resource
), used AS (
    -- Piece n lies behind the n-th step; what is behind the last does not matter here.
    SELECT e.account_id, e.resource, width_bucket(e.position, c.positions) AS piece, sum(e.amount) AS amount
    FROM meter.events e
    JOIN cuts c ON c.account_id = e.account_id AND c.resource = e.resource
    WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{usage}})
    GROUP BY 1, 2, 3
), numbered AS (
    SELECT account_id, resource, position, type, amount, recorded_at,
           row_number() OVER (PARTITION BY account_id, resource ORDER BY position) AS step
    FROM listed
), steps AS MATERIALIZED (
    SELECT n.account_id, n.resource, n.step, n.position, n.type, n.amount, n.recorded_at,
           coalesce(n.position >= o.position, false) AS opened,
           sum(coalesce(u.amount, 0) - CASE n.type WHEN {{usage.reversed.v1}} THEN n.amount ELSE 0 END)
               OVER (PARTITION BY n.account_id, n.resource ORDER BY n.position) AS total
    FROM numbered n
    LEFT JOIN openings o ON o.account_id = n.account_id
    LEFT JOIN used u ON u.account_id = n.account_id AND u.resource = n.resource AND u.piece = n.step - 1
), walk AS (
    SELECT account_id, resource, 0::bigint AS step, 0::bigint AS position, NULL::timestamptz AS recorded_at,
           0::numeric AS granted, '{}'::numeric[] AS boundaries, 0::numeric AS base, 0 AS epoch, false AS begun
    FROM keys
    UNION ALL
    SELECT s.account_id, s.resource, s.step, s.position, s.recorded_at, g.granted, l.boundaries,
           CASE WHEN t.rebases THEN coalesce(
               (SELECT max(b) FROM unnest(l.boundaries) AS b WHERE s.opened AND b <= s.total), least(s.total, 0))
               ELSE w.base END,
           CASE WHEN b.begins THEN w.epoch + 1 ELSE w.epoch END, b.begins
    FROM walk w
    JOIN steps s ON s.account_id = w.account_id AND s.resource = w.resource AND s.step = w.step + 1
    CROSS JOIN LATERAL (
        SELECT w.granted + CASE s.type WHEN {{credits.granted.v1}} THEN s.amount
                                       WHEN {{credits.revoked.v1}} THEN -least(s.amount, w.granted)
                                       ELSE 0 END AS granted
    ) AS g
    CROSS JOIN LATERAL (
        SELECT CASE s.type
               WHEN {{credits.granted.v1}} THEN w.boundaries || g.granted
               WHEN {{credits.revoked.v1}} THEN ARRAY(
                   SELECT least(b, g.granted) FROM unnest(w.boundaries) WITH ORDINALITY AS k (b, n) ORDER BY n)
               ELSE w.boundaries END AS boundaries
    ) AS l
    CROSS JOIN LATERAL (SELECT s.type <> {{usage.reversed.v1}} OR s.total < w.base AS rebases) AS t
    CROSS JOIN LATERAL (SELECT t.rebases AND s.opened AND (w.epoch > 0 OR g.granted > 0) AS begins) AS b
)
SELECT account_id, resource, position, recorded_at, granted::bigint AS granted, boundaries::bigint[]::text AS boundaries,
       base::bigint AS base, epoch, begun AS begins
FROM walk
WHERE step > 0
ORDER BY account_id, resource, step
