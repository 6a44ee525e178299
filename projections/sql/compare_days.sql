-- Days of usage that differ from what the slots add up to in the account's zone, as far as they are added up. Where somebody folded
-- meanwhile who knows nothing of that, they do not count. The zone of an account that changed further on than usage has come is not
-- looked at.
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
    JOIN projections.usage_days_summed p ON p.shard = u.shard
    LEFT JOIN zones z ON z.account_id = u.account_id
    WHERE u.shard = $1 AND p.position = $2
      AND timezone(coalesce(z.time_zone, 'UTC'), u.slot)::date < CASE WHEN u.account_id > p.upto THEN p.summed ELSE p.target END
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), stored AS (
    SELECT t.account_id, t.day, t.resource, t.kind, t.item, t.deployment, t.category, t.status, t.events, t.amount, t.tokens_in,
           t.tokens_out, t.seconds, t.last_used
    FROM projections.usage_totals t
    JOIN projections.usage_days_summed p USING (shard)
    WHERE shard = $1 AND p.position = $2 AND (t.day < p.summed OR (t.account_id <= p.upto AND t.day < p.target))
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
