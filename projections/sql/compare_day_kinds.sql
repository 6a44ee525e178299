-- Amounts by day and kind that differ from what the days add up to, as far as months are summed up; as in compare_months.sql.
-- $1 shard int, $2 position bigint
WITH expected AS (
    SELECT t.account_id, t.day, t.resource, t.kind, sum(t.amount) AS amount
    FROM projections.usage_totals t
    JOIN projections.usage_summed p USING (shard)
    JOIN projections.usage_days_summed d USING (shard)
    WHERE shard = $1 AND p.position = $2 AND d.position = $2 AND (t.day < p.summed OR (t.account_id <= p.upto AND t.day < p.target))
    GROUP BY 1, 2, 3, 4
), stored AS (
    SELECT k.account_id, k.day, k.resource, k.kind, k.amount
    FROM projections.usage_day_kinds k
    JOIN projections.usage_summed p USING (shard)
    JOIN projections.usage_days_summed d USING (shard)
    WHERE shard = $1 AND p.position = $2 AND d.position = $2 AND (k.day < p.summed OR (k.account_id <= p.upto AND k.day < p.target))
)
SELECT account_id,
       concat_ws(' ', day, CASE resource WHEN {{model_credits}} THEN 'model_credits' ELSE 'tool_runs' END, 'kind', kind) AS what,
       to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e USING (account_id, day, resource, kind)
WHERE s.amount IS DISTINCT FROM e.amount
ORDER BY 1, 2
