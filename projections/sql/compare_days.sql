-- Days of usage that differ from what the slots add up to in the account's zone. The zone of an account that changed further on
-- than usage has come is not looked at.
-- $1 shard int, $2 position bigint
WITH zones AS (
    SELECT coalesce(a.account_id, z.account_id) AS account_id,
           CASE WHEN a.account_id IS NULL OR a.position > $2 THEN z.time_zone
                WHEN a.time_zone IN (SELECT name FROM pg_timezone_names) THEN a.time_zone END AS time_zone
    FROM (SELECT account_id, position, time_zone FROM projections.account_states WHERE shard = $1) AS a
    FULL JOIN (SELECT account_id, time_zone FROM projections.usage_zones WHERE shard = $1) AS z USING (account_id)
), expected AS (
    SELECT u.account_id, timezone(coalesce(z.time_zone, 'UTC'), u.slot)::date AS day, u.resource, u.kind, u.item, u.deployment,
           u.category, u.status, sum(u.events) AS events, sum(u.amount) AS amount, sum(u.tokens_in) AS tokens_in,
           sum(u.tokens_out) AS tokens_out, sum(u.seconds) AS seconds, max(u.last_used) AS last_used
    FROM projections.usage_slots u
    LEFT JOIN zones z ON z.account_id = u.account_id
    WHERE u.shard = $1
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), stored AS (
    SELECT account_id, day, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds,
           last_used
    FROM projections.usage_totals
    WHERE shard = $1
)
SELECT account_id,
       concat_ws(' ', day, CASE resource WHEN {{model_credits}} THEN 'model_credits' ELSE 'tool_runs' END, item, deployment,
                 category, status) AS what,
       to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e USING (account_id, day, resource, kind, item, deployment, category, status)
WHERE (s.events, s.amount, s.tokens_in, s.tokens_out, s.seconds, s.last_used)
      IS DISTINCT FROM (e.events, e.amount, e.tokens_in, e.tokens_out, e.seconds, e.last_used)
ORDER BY 1, 2
