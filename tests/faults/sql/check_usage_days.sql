-- Rows of usage by day that differ from the sums of the log. What a reversal takes back is taken from the line of its usage.
WITH wanted AS (
    SELECT e.account_id, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, e.resource, coalesce(o.type, e.type) AS type,
           coalesce(o.name, e.name) AS name, count(*) FILTER (WHERE r.position IS NULL) AS events,
           sum(CASE WHEN e.type = 14 THEN -e.amount ELSE e.amount END) AS amount
    FROM meter.events e
    LEFT JOIN meter.reversals r ON r.shard = e.shard AND r.position = e.position
    LEFT JOIN meter.events o ON o.shard = r.shard AND o.position = r.reverses
    WHERE e.type IN (1, 2, 3, 4, 14)
    GROUP BY 1, 2, 3, 4, 5
), days AS (
    SELECT account_id, (slot AT TIME ZONE 'UTC')::date AS day, resource, kind AS type, item AS name,
           sum(events) AS events, sum(amount) AS amount
    FROM projections.usage_slots
    GROUP BY 1, 2, 3, 4, 5
)
SELECT coalesce(w.account_id, d.account_id) AS account_id, coalesce(w.day, d.day) AS day,
       coalesce(w.type, d.type) AS type, coalesce(w.name, d.name) AS name,
       coalesce(d.events, 0) AS found, coalesce(w.events, 0) AS wanted,
       coalesce(d.amount, 0) - coalesce(w.amount, 0) AS difference
FROM wanted w
FULL JOIN days d
    ON d.account_id = w.account_id AND d.day = w.day AND d.resource = w.resource AND d.type = w.type AND d.name = w.name
WHERE (w.events, w.amount) IS DISTINCT FROM (d.events, d.amount)
