-- Rows of usage by day that differ from the sums of the log.
WITH wanted AS (
    SELECT e.account_id, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, e.resource, coalesce(u.type, e.type) AS type,
           coalesce(u.name, e.name) AS name, count(*) FILTER (WHERE u.type IS NULL) AS events,
           sum(CASE WHEN u.type IS NULL THEN e.amount ELSE -e.amount END)::bigint AS amount
    FROM meter.events e
    LEFT JOIN meter.reversals k ON k.shard = e.shard AND k.position = e.position
    LEFT JOIN meter.events u ON u.shard = k.shard AND u.position = k.reverses
    WHERE e.type IN (1, 2, 3, 4, 14)
    GROUP BY 1, 2, 3, 4, 5
)
SELECT coalesce(w.account_id, d.account_id) AS account_id, coalesce(w.day, d.day) AS day,
       coalesce(w.type, d.type) AS type, coalesce(w.name, d.name) AS name,
       coalesce(d.events, 0) AS found, coalesce(w.events, 0) AS wanted,
       coalesce(d.amount, 0) - coalesce(w.amount, 0) AS difference
FROM wanted w
FULL JOIN projections.usage_days d
    ON d.account_id = w.account_id AND d.day = w.day AND d.resource = w.resource AND d.type = w.type AND d.name = w.name
WHERE (w.events, w.amount) IS DISTINCT FROM (d.events, d.amount)
