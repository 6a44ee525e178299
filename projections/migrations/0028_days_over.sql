-- Days of usage are added up from their slots when they are over, as months are from days: the fold no longer writes a second line
-- beside each slot. How far that is stands in usage_days_summed, one row per shard; readers take slots for later days, in the same
-- statement, and the fold adds to days only what comes late. As with months the sums count only up to the position that they carry. A
-- fold of the version before does not move it on: then all days are read from slots until they are added up anew, and no month counts.
-- So the version before may go on beside this one, or come back; its `verify` names the days that it does not find.
CREATE TABLE projections.usage_days_summed (
    shard int PRIMARY KEY,
    summed date NOT NULL,
    target date NOT NULL,
    upto text COLLATE "C" NOT NULL,
    position bigint NOT NULL
);
COMMENT ON TABLE projections.usage_days_summed IS 'how far the days of a shard are added up; later ones are in usage_slots alone';
COMMENT ON COLUMN projections.usage_days_summed.summed IS 'days before it are added up for all accounts of the shard';
COMMENT ON COLUMN projections.usage_days_summed.target IS 'those before it only for the accounts up to `upto`';
COMMENT ON COLUMN projections.usage_days_summed.position IS 'of the last event in the sums; another one than the cursor''s: they do not count';

-- Until now the fold kept all of them. The last two days are added up again: what is there of them was not over in every zone.
INSERT INTO projections.usage_days_summed (shard, summed, target, upto, position)
SELECT shard, (now() AT TIME ZONE 'UTC')::date - 2, (now() AT TIME ZONE 'UTC')::date - 2, '', position
FROM projections.cursors
WHERE projection = 'usage';

-- Months are added up from days: they count where days do. First, because pages read this view before that of days: in another order
-- one of both would wait for the other for ever, and a page would end in an error.
CREATE OR REPLACE VIEW projections.usage_months_until AS
SELECT DISTINCT b.account_id, b.shard, CASE WHEN b.account_id COLLATE "C" <= p.upto THEN p.target ELSE p.summed END AS until
FROM projections.balance_states b
JOIN projections.cursors c ON c.shard = b.shard AND c.projection = 'usage'
LEFT JOIN projections.usage_days_summed d ON d.shard = b.shard AND d.position = c.position
LEFT JOIN projections.usage_summed p ON p.shard = d.shard AND p.position = d.position
WHERE b.opened;

-- How far the days of each account are added up, and the zone they are counted in. DISTINCT keeps it a part of its own in every plan:
-- so the slots behind are found along their key, and not all that an account ever had.
CREATE VIEW projections.usage_days_until AS
SELECT DISTINCT b.account_id, b.shard, coalesce(z.time_zone, 'UTC') AS time_zone,
       coalesce(CASE WHEN b.account_id COLLATE "C" <= p.upto THEN p.target ELSE p.summed END, '-infinity') AS until
FROM projections.balance_states b
JOIN projections.cursors c ON c.shard = b.shard AND c.projection = 'usage'
LEFT JOIN projections.usage_days_summed p ON p.shard = b.shard AND p.position = c.position
LEFT JOIN projections.usage_zones z ON z.shard = b.shard AND z.account_id = b.account_id
WHERE b.opened;
COMMENT ON VIEW projections.usage_days_until IS 'days before `until` stand in usage_totals, later ones in usage_slots alone';

CREATE OR REPLACE VIEW projections.usage_by_own_day AS
SELECT u.account_id, u.day, u.time_zone,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.item, u.deployment, u.category, u.status, u.events, (u.amount * 0.000001)::numeric(38, 6) AS amount,
       u.tokens_in, u.tokens_out, u.seconds, u.last_used, u.shard
FROM (
    SELECT a.account_id, t.day, a.time_zone, t.resource, t.kind, t.item, t.deployment, t.category, t.status, t.events, t.amount,
           t.tokens_in, t.tokens_out, t.seconds, t.last_used, a.shard
    FROM projections.usage_days_until a
    JOIN projections.usage_totals t ON t.shard = a.shard AND t.account_id = a.account_id AND t.day < a.until
    UNION ALL
    SELECT a.account_id, (s.slot AT TIME ZONE a.time_zone)::date AS day, a.time_zone, s.resource, s.kind, s.item, s.deployment,
           s.category, s.status, sum(s.events)::bigint, sum(s.amount), sum(s.tokens_in), sum(s.tokens_out), sum(s.seconds),
           max(s.last_used), a.shard
    FROM projections.usage_days_until a
    -- No zone is a day from UTC: so far the key finds them, and the day itself says which it is.
    JOIN projections.usage_slots s
        ON s.shard = a.shard AND s.account_id = a.account_id AND s.slot >= (a.until - 1)::timestamp AT TIME ZONE 'UTC'
    WHERE (s.slot AT TIME ZONE a.time_zone)::date >= a.until
    GROUP BY a.shard, a.account_id, day, a.time_zone, s.resource, s.kind, s.item, s.deployment, s.category, s.status
) AS u;
COMMENT ON COLUMN projections.usage_by_own_day.shard IS 'the partition of the account''s events: where a look-up asks';
