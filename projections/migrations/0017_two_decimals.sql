-- A percent has two decimals everywhere: of an allocation of nothing it was 100, and 100.00 in balance.changed.
CREATE OR REPLACE VIEW projections.balances AS
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
