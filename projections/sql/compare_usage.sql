-- Lines of usage by day that differ from the log.
-- $1 shard int, $2 position bigint
WITH expected AS (
    SELECT account_id, day, resource, type, name, sum(events)::bigint AS events, sum(amount) AS amount,
           max(recorded_at) AS changed_at
    FROM (
        SELECT account_id COLLATE "C" AS account_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, resource, type,
               name COLLATE "C" AS name, 1 AS events, amount, recorded_at
        FROM meter.events
        WHERE shard = $1 AND position <= $2 AND type IN ({{usage}})
        UNION ALL
        -- A reversal that names its usage is taken from the line of that kind and name, and counts no event.
        SELECT e.account_id COLLATE "C", (e.occurred_at AT TIME ZONE 'UTC')::date, e.resource, u.type, u.name COLLATE "C",
               0, -e.amount, e.recorded_at
        FROM meter.reversals k
        JOIN meter.events e ON e.shard = k.shard AND e.position = k.position
        JOIN meter.events u ON u.shard = k.shard AND u.position = k.reverses
        WHERE k.shard = $1 AND k.position <= $2
        UNION ALL
        SELECT e.account_id COLLATE "C", (e.occurred_at AT TIME ZONE 'UTC')::date, e.resource, e.type, e.name COLLATE "C",
               1, e.amount, e.recorded_at
        FROM meter.events e
        WHERE e.shard = $1 AND e.position <= $2 AND e.type = {{usage.reversed.v1}}
          AND NOT EXISTS (SELECT FROM meter.reversals k WHERE k.shard = e.shard AND k.position = e.position)
    ) AS lines
    GROUP BY account_id, day, resource, type, name
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
