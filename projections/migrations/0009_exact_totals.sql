-- Totals without an upper end: what an account used, was granted and has in a line of usage by day stays exact whatever is sent.
-- One event fits into BIGINT, and so does what one transaction adds up. The tables are written anew, which takes minutes
-- where usage by day has millions of lines.
-- The views are made anew, because a column of a view keeps its type; who was granted them keeps them.
SELECT set_config('metering.kept_grants', coalesce(json_agg(json_build_array(
           a.privilege_type, c.relname,
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
           CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)), '[]')::text, true)
FROM pg_class c
CROSS JOIN LATERAL aclexplode(c.relacl) AS a
WHERE c.oid IN ('projections.balances'::regclass, 'projections.usage_by_day'::regclass,
                'projections.unopened_accounts'::regclass) AND a.grantee <> c.relowner;

DROP VIEW projections.balances;
DROP VIEW projections.usage_by_day;
DROP VIEW projections.unopened_accounts;

ALTER TABLE projections.balance_states
    ALTER COLUMN granted TYPE numeric, ALTER COLUMN consumed TYPE numeric, ALTER COLUMN base TYPE numeric,
    ALTER COLUMN boundaries TYPE numeric[];
ALTER TABLE projections.rebuilt_balances
    ALTER COLUMN granted TYPE numeric, ALTER COLUMN consumed TYPE numeric, ALTER COLUMN base TYPE numeric,
    ALTER COLUMN boundaries TYPE numeric[];
ALTER TABLE projections.usage_days ALTER COLUMN amount TYPE numeric;
ALTER TABLE projections.rebuilt_usage ALTER COLUMN amount TYPE numeric;

-- Times 0.000001 and not divided by 1000000: a division of large numbers rounds.
CREATE VIEW projections.balances AS
SELECT s.account_id,
       CASE s.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       (s.allocation * 0.000001)::numeric(38, 6) AS allocation,
       (s.used * 0.000001)::numeric(38, 6) AS consumed,
       ((s.allocation - s.used) * 0.000001)::numeric(38, 6) AS remaining,
       CASE WHEN s.epoch = 0 THEN NULL
            WHEN s.allocation = 0 THEN CASE WHEN s.used >= 0 THEN 100::numeric ELSE 0::numeric END
            ELSE greatest(round(div(s.used * 10000, s.allocation) * 0.01, 2), 0) END AS exhaustion,
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

CREATE VIEW projections.usage_by_day AS
SELECT u.account_id, u.day,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.type WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.name, u.events,
       (CASE u.type WHEN 14 THEN -u.amount ELSE u.amount END * 0.000001)::numeric(38, 6) AS amount,
       u.changed_at
FROM projections.usage_days u;
COMMENT ON VIEW projections.usage_by_day IS
    'reversals are negative, so the amounts of an account and resource add up to its lifetime_consumed';

CREATE VIEW projections.unopened_accounts AS
SELECT coalesce(k.account_id, b.account_id) AS account_id, coalesce(k.shard, b.shard) AS shard,
       k.plan, k.display_name, k.time_zone, jsonb_array_length(k.contacts) AS contacts,
       coalesce(b.credits_granted, 0) AS credits_granted, coalesce(b.credits_used, 0) AS credits_used,
       coalesce(b.runs_granted, 0) AS runs_granted, coalesce(b.runs_used, 0) AS runs_used,
       greatest(k.as_of, b.as_of) AS as_of
FROM (SELECT * FROM projections.account_states WHERE opened_at IS NULL) AS k
FULL JOIN (
    SELECT account_id, min(shard) AS shard, max(as_of) AS as_of,
           (sum(granted) FILTER (WHERE resource = 1) * 0.000001)::numeric(38, 6) AS credits_granted,
           (sum(consumed) FILTER (WHERE resource = 1) * 0.000001)::numeric(38, 6) AS credits_used,
           (sum(granted) FILTER (WHERE resource = 2) * 0.000001)::numeric(38, 6) AS runs_granted,
           (sum(consumed) FILTER (WHERE resource = 2) * 0.000001)::numeric(38, 6) AS runs_used
    FROM projections.balance_states
    WHERE NOT opened
    GROUP BY account_id
) AS b USING (account_id);
COMMENT ON VIEW projections.unopened_accounts IS
    'what is kept until the opening: plan, name and time zone, the number of contacts, and what was granted and used';

DO $$
DECLARE
    kept json;
BEGIN
    FOR kept IN SELECT json_array_elements(current_setting('metering.kept_grants')::json) LOOP
        EXECUTE format('GRANT %s ON projections.%I TO %s%s', kept ->> 0, kept ->> 1, kept ->> 2, kept ->> 3);
    END LOOP;
END
$$;
