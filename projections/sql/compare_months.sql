-- Months of usage that differ from what their days add up to, as far as they are summed up. Where somebody folded meanwhile who
-- knows nothing of months or of days, they do not count.
-- $1 shard int, $2 position bigint
WITH days AS MATERIALIZED (
    SELECT t.*
    FROM projections.usage_totals t
    JOIN projections.usage_summed p USING (shard)
    JOIN projections.usage_days_summed d USING (shard)
    WHERE shard = $1 AND p.position = $2 AND d.position = $2 AND (t.day < p.summed OR (t.account_id <= p.upto AND t.day < p.target))
), expected AS (
    SELECT account_id, (day - extract(day FROM day)::int + 1) AS month, resource, kind, item, deployment, category, status,
           sum(events) AS events, sum(amount) AS amount, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out,
           sum(seconds) AS seconds, max(last_used) AS last_used
    FROM days
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), stored AS (
    SELECT m.account_id, m.month, m.resource, m.kind, m.item, m.deployment, m.category, m.status, m.events, m.amount, m.tokens_in,
           m.tokens_out, m.seconds, m.last_used
    FROM projections.usage_months m
    JOIN projections.usage_summed p USING (shard)
    JOIN projections.usage_days_summed d USING (shard)
    WHERE shard = $1 AND p.position = $2 AND d.position = $2 AND (m.month < p.summed OR (m.account_id <= p.upto AND m.month < p.target))
)
SELECT account_id,
       concat_ws(' ', to_char(month, 'YYYY-MM'), CASE resource WHEN {{model_credits}} THEN 'model_credits' ELSE 'tool_runs' END,
                 item, deployment, category, status) AS what,
       to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e USING (account_id, month, resource, kind, item, deployment, category, status)
WHERE (s.events, s.amount, s.tokens_in, s.tokens_out, s.seconds, s.last_used)
      IS DISTINCT FROM (e.events, e.amount, e.tokens_in, e.tokens_out, e.seconds, e.last_used)
ORDER BY 1, 2
