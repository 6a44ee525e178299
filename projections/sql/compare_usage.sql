-- Lines of usage by day that differ from the log.
-- $1 shard int, $2 position bigint
WITH expected AS (
    SELECT account_id COLLATE "C" AS account_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, resource, type,
           name COLLATE "C" AS name, count(*) AS events, sum(amount)::bigint AS amount, max(recorded_at) AS changed_at
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type IN ({{usage}}, {{usage.reversed.v1}})
    GROUP BY 1, 2, 3, 4, 5
), stored AS (
    SELECT account_id, day, resource, type, name, events, amount, changed_at FROM projections.usage_days WHERE shard = $1
)
SELECT account_id,
       concat_ws(' ', day, CASE resource WHEN {{model_credits}} THEN 'model_credits' ELSE 'tool_runs' END, name) AS what,
       to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e USING (account_id, day, resource, type, name)
WHERE s.events IS DISTINCT FROM e.events OR s.amount IS DISTINCT FROM e.amount
   OR s.changed_at <> e.changed_at  -- lines of before changed_at have none
ORDER BY 1, 2
