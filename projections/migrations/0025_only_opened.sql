-- An account that nobody opened is in no view that readers and the console use: whoever may write usage can make up as many as
-- there are ids. Their rows stay, because what was used and granted counts at the opening, and from then on the views show it.
-- projections.unopened_accounts lists them, metering_unopened_accounts counts them, and all_balances has their balances, for support.
-- For every version of projections, which reads the views by the names of their columns.
CREATE VIEW projections.all_balances AS
SELECT s.account_id,
       CASE s.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       (s.allocation * 0.000001)::numeric(38, 6) AS allocation,
       (s.used * 0.000001)::numeric(38, 6) AS consumed,
       ((s.allocation - s.used) * 0.000001)::numeric(38, 6) AS remaining,
       CASE WHEN s.epoch = 0 THEN NULL
            WHEN s.allocation = 0 THEN CASE WHEN s.used >= 0 THEN 100.00 ELSE 0.00 END
            ELSE greatest(round(div(s.used * 10000, s.allocation) * 0.01, 2), 0.00) END AS exhaustion,
       CASE WHEN s.epoch = 0 OR s.allocation <= s.used THEN 'exhausted'
            WHEN (s.allocation - s.used) * 100 < s.allocation * 25 THEN 'low'
            WHEN (s.allocation - s.used) * 100 <= s.allocation * 75 THEN 'moderate'
            ELSE 'good' END AS status,
       s.epoch > 0 AND NOT s.closed AND s.allocation > s.used AS allowed,
       s.epoch,
       (s.granted * 0.000001)::numeric(38, 6) AS lifetime_granted,
       (s.consumed * 0.000001)::numeric(38, 6) AS lifetime_consumed,
       s.as_of, s.shard, s.position, s.free_only,
       CASE WHEN s.closed THEN 'closed' WHEN s.opened THEN 'open' ELSE 'not_opened' END AS account_state
FROM (
    -- What is granted before the opening is kept: it belongs to no allocation yet.
    SELECT *, CASE WHEN epoch = 0 THEN 0 ELSE granted - base END AS allocation, consumed - base AS used
    FROM projections.balance_states
) AS s;
COMMENT ON VIEW projections.all_balances IS 'projections.balances, and those of accounts that nobody opened';

CREATE OR REPLACE VIEW projections.balances AS
SELECT account_id, resource, allocation, consumed, remaining, exhaustion, status, allowed, epoch, lifetime_granted,
       lifetime_consumed, as_of, shard, position, free_only, account_state
FROM projections.all_balances
WHERE account_state <> 'not_opened';
COMMENT ON VIEW projections.balances IS
    'what each account that was opened has of each resource; amounts in credits or runs, exact to six decimals';
COMMENT ON COLUMN projections.balances.allocation IS 'credits or runs of the current epoch';
COMMENT ON COLUMN projections.balances.epoch IS 'number of the allocation; 0 before the first grant';
COMMENT ON COLUMN projections.balances.account_state IS 'open or closed; only an open account is allowed anything';

CREATE OR REPLACE VIEW projections.usage_by_slot AS
SELECT u.account_id, u.slot,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.item, u.deployment, u.category, u.status, u.events, (u.amount * 0.000001)::numeric(38, 6) AS amount,
       u.tokens_in, u.tokens_out, u.seconds, u.last_used
FROM projections.balance_states b
JOIN projections.usage_slots u ON u.shard = b.shard AND u.account_id = b.account_id AND u.resource = b.resource
WHERE b.opened;

CREATE OR REPLACE VIEW projections.usage_by_day AS
SELECT u.account_id, u.day,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.name, u.events, u.amount, u.changed_at
FROM (
    SELECT s.account_id, (s.slot AT TIME ZONE interval '0')::date AS day, s.resource, s.kind, s.item AS name,
           sum(s.events)::bigint AS events, (sum(s.amount) * 0.000001)::numeric(38, 6) AS amount,
           max(s.changed_at) AS changed_at
    FROM projections.balance_states b
    JOIN projections.cursors c ON c.shard = b.shard AND c.projection = 'usage'
    LEFT JOIN projections.usage_starts t ON t.shard = b.shard
    JOIN projections.usage_slots s ON s.shard = b.shard AND s.account_id = b.account_id AND s.resource = b.resource
    WHERE b.opened AND c.position >= coalesce(t.position, 0)
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT d.account_id, d.day, d.resource, d.type, d.name, d.events,
           (CASE d.type WHEN 14 THEN -d.amount ELSE d.amount END * 0.000001)::numeric(38, 6), d.changed_at
    FROM projections.usage_days_before d
    JOIN projections.balance_states b ON b.account_id = d.account_id AND b.resource = d.resource
    JOIN projections.usage_starts t ON t.shard = d.shard
    JOIN projections.cursors c ON c.shard = d.shard AND c.projection = 'usage'
    WHERE b.opened AND c.position < t.position
) AS u;

CREATE OR REPLACE VIEW projections.usage_by_own_day AS
SELECT u.account_id, u.day, coalesce(z.time_zone, 'UTC') AS time_zone,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.item, u.deployment, u.category, u.status, u.events, (u.amount * 0.000001)::numeric(38, 6) AS amount,
       u.tokens_in, u.tokens_out, u.seconds, u.last_used
FROM projections.balance_states b
JOIN projections.usage_totals u ON u.shard = b.shard AND u.account_id = b.account_id AND u.resource = b.resource
LEFT JOIN projections.usage_zones z ON z.shard = b.shard AND z.account_id = b.account_id
WHERE b.opened;

CREATE OR REPLACE VIEW projections.catalogue AS
WITH used AS NOT MATERIALIZED (
    SELECT *, CASE kind WHEN 1 THEN 'model' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'script' WHEN 4 THEN 'tool' END AS kind_name
    FROM projections.used_items
)
SELECT i.account_id, i.kind, i.id, i.name, i.status, i.owner, i.type, coalesce(i.language, u.language) AS language,
       i.version, i.reason, i.deployed_at, coalesce(u.deployment, '') AS deployment, u.first_used, u.hardware,
       u.replicas, u.cpus, u.memory_gb, true AS told
FROM projections.items i
JOIN projections.account_states a ON a.account_id = i.account_id AND a.opened_at IS NOT NULL
LEFT JOIN used u ON u.shard = i.shard AND u.account_id = i.account_id AND u.kind_name = i.kind AND u.item = i.id
UNION ALL
SELECT u.account_id, u.kind_name, u.item, u.item, NULL, NULL, NULL, u.language, NULL, NULL, NULL, u.deployment,
       u.first_used, u.hardware, u.replicas, u.cpus, u.memory_gb, false
FROM used u
JOIN projections.account_states a ON a.account_id = u.account_id AND a.opened_at IS NOT NULL
WHERE NOT EXISTS (
    SELECT FROM projections.items i
    WHERE i.shard = u.shard AND i.account_id = u.account_id AND i.kind = u.kind_name AND i.id = u.item);

CREATE OR REPLACE VIEW projections.runway AS
SELECT p.account_id, p.resource, p.remaining, p.hours_used, p.events, p.used, p.pace_per_hour,
       -- CASE, because a large number of hours has no interval.
       CASE WHEN p.spends AND p.remaining > 0 AND p.remaining < p.pace_per_hour * 24 * 365
            THEN now() + make_interval(secs => (p.remaining / p.pace_per_hour * 3600)::double precision) END AS empty_at
FROM (
    SELECT b.account_id, CASE b.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
           b.epoch > 0 AND NOT b.closed AS spends, (CASE WHEN b.epoch = 0 THEN 0 ELSE b.granted - b.consumed END * 0.000001)::numeric(38, 6) AS remaining,
           d.hours_used, d.events, (d.used * 0.000001)::numeric(38, 6) AS used,
           CASE WHEN d.hours_used >= 3 AND d.events >= 10 AND d.used > 0
                THEN (d.used * 0.000001 / 24)::numeric(38, 6) END AS pace_per_hour
    FROM projections.balance_states b
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT date_trunc('hour', u.slot, 'UTC')) FILTER (WHERE u.amount > 0) AS hours_used,
               coalesce(sum(u.events) FILTER (WHERE u.amount > 0), 0) AS events, coalesce(sum(u.amount), 0) AS used
        FROM projections.usage_slots u
        WHERE u.shard = b.shard AND u.account_id = b.account_id AND u.resource = b.resource
          AND u.slot > now() - interval '24 hours'
    ) AS d
    WHERE b.opened
) AS p;

CREATE OR REPLACE VIEW projections.usage_months_until AS
SELECT DISTINCT b.account_id, b.shard, CASE WHEN b.account_id COLLATE "C" <= p.upto THEN p.target ELSE p.summed END AS until
FROM projections.balance_states b
JOIN projections.cursors c ON c.shard = b.shard AND c.projection = 'usage'
LEFT JOIN projections.usage_summed p ON p.shard = b.shard AND p.position = c.position
WHERE b.opened;

CREATE OR REPLACE VIEW projections.account_history AS
SELECT e.account_id, e.shard, e.position, e.recorded_at AS at, t.type, r.resource,
       (e.amount::numeric / 1000000)::numeric(20, 6) AS amount, e.name AS reason, e.data ->> 'reference' AS reference, e.source
FROM meter.events e
JOIN meter.event_types t ON t.code = e.type
JOIN projections.account_states a ON a.account_id = e.account_id COLLATE "C" AND a.opened_at IS NOT NULL
LEFT JOIN meter.resources r ON r.code = e.resource
WHERE e.type IN (10, 11, 13, 14, 15, 17, 18);
