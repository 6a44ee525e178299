-- Exhaustion is rounded down, as everywhere: a balance that is not used up never shows 100.00. div() is the exact whole
-- quotient; the division with / rounds its last digit, which may be up to 100. The columns stay the same.
CREATE OR REPLACE VIEW projections.balances AS
SELECT s.account_id,
       CASE s.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       ((s.granted - s.base)::numeric / 1000000)::numeric(20, 6) AS allocation,
       ((s.consumed - s.base)::numeric / 1000000)::numeric(20, 6) AS consumed,
       ((s.granted - s.consumed)::numeric / 1000000)::numeric(20, 6) AS remaining,
       CASE WHEN s.epoch = 0 THEN NULL
            WHEN s.granted = s.base THEN CASE WHEN s.consumed >= s.granted THEN 100::numeric ELSE 0::numeric END
            ELSE greatest(round(div((s.consumed - s.base) * 10000::numeric, s.granted - s.base) / 100, 2), 0)
            END AS exhaustion,
       CASE WHEN s.epoch = 0 OR s.granted <= s.consumed THEN 'exhausted'
            WHEN (s.granted - s.consumed) * 100::numeric < (s.granted - s.base) * 25::numeric THEN 'low'
            WHEN (s.granted - s.consumed) * 100::numeric <= (s.granted - s.base) * 75::numeric THEN 'moderate'
            ELSE 'good' END AS status,
       s.epoch > 0 AND s.granted > s.consumed AS allowed,
       s.epoch,
       (s.granted::numeric / 1000000)::numeric(20, 6) AS lifetime_granted,
       (s.consumed::numeric / 1000000)::numeric(20, 6) AS lifetime_consumed,
       s.as_of, s.shard, s.position
FROM projections.balance_states s;
