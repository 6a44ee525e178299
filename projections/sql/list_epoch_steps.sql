-- Every event of a shard that may begin an epoch of a balance: whether the account was opened by then, and what was
-- consumed by its end. Such events are few beside usage, which is added up between them.
-- $1 shard int, $2 position bigint
WITH openings AS MATERIALIZED (
    SELECT account_id, min(position) AS position
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type = {{account.opened.v1}}
    GROUP BY account_id
), moves AS MATERIALIZED (
    SELECT account_id, resource, position, type, amount, recorded_at
    FROM meter.events
    WHERE shard = $1 AND position <= $2
      AND type IN ({{credits.granted.v1}}, {{credits.revoked.v1}}, {{usage.reversed.v1}})
), keys AS (  -- usage alone begins no epoch
    SELECT DISTINCT account_id, resource FROM moves
), welcomed AS (  -- the free grants that were stored behind the first opening
    SELECT e.account_id, e.resource
    FROM openings o
    JOIN meter.events e ON e.shard = $1 AND e.position > o.position AND e.position <= $2
                       AND e.position <= o.position + (SELECT count(*) FROM meter.resources)
    WHERE e.account_id = o.account_id AND e.type = {{credits.granted.v1}} AND e.source = {{own_source}}
), listed AS MATERIALIZED (
    SELECT account_id, resource, position, type, amount, recorded_at FROM moves
    UNION ALL
    -- The free grant stands for the opening where there is one; else the opening is a step of its own.
    SELECT k.account_id, k.resource, o.position, {{account.opened.v1}}, 0, e.recorded_at
    FROM keys k
    JOIN openings o ON o.account_id = k.account_id
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
)
SELECT n.account_id, n.resource, n.position, n.recorded_at, n.type, n.amount,
       coalesce(n.position >= o.position, false) AS opened,
       (sum(coalesce(u.amount, 0) - CASE n.type WHEN {{usage.reversed.v1}} THEN n.amount ELSE 0 END)
            OVER (PARTITION BY n.account_id, n.resource ORDER BY n.position))::text AS consumed
FROM numbered n
LEFT JOIN openings o ON o.account_id = n.account_id
LEFT JOIN used u ON u.account_id = n.account_id AND u.resource = n.resource AND u.piece = n.step - 1
ORDER BY n.account_id, n.resource, n.position
