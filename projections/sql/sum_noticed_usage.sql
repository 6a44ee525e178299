-- The balances as the notifier last read them, with what was consumed in all by that position. Amounts are text: they have no upper end.
-- $1 shard int, $2 position bigint
WITH seen AS MATERIALIZED (
    SELECT b.account_id, r.code AS resource, b.resource AS name, b.position, b.epoch, b.line, b.allocation, b.consumed AS used
    FROM notifier.balances b
    JOIN meter.resources r USING (resource)
    WHERE b.shard = $1
), used AS (
    SELECT e.account_id, e.resource,
           sum(CASE e.type WHEN {{usage.reversed.v1}} THEN -e.amount ELSE e.amount END) AS consumed
    FROM meter.events e
    JOIN seen s ON s.account_id = e.account_id AND s.resource = e.resource
    WHERE e.shard = $1 AND e.position <= $2 AND e.position <= s.position
      AND e.type IN ({{usage}}, {{usage.reversed.v1}})
    GROUP BY 1, 2
)
SELECT s.account_id, s.name AS resource, s.position, s.epoch, s.line, coalesce(u.consumed, 0)::text AS consumed,
       s.allocation::text, s.used::text
FROM seen s
LEFT JOIN used u ON u.account_id = s.account_id AND u.resource = s.resource
