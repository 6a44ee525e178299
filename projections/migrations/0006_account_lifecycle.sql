-- Balances know whether their account was opened or closed, and whether anything but the free allowance was ever granted: grants
-- that come before the opening are kept until then, and used is never negative.
ALTER TABLE projections.balance_states
    ADD COLUMN opened boolean NOT NULL DEFAULT false,
    ADD COLUMN closed boolean NOT NULL DEFAULT false,
    ADD COLUMN free_only boolean NOT NULL DEFAULT true;
ALTER TABLE projections.rebuilt_balances
    ADD COLUMN opened boolean NOT NULL,
    ADD COLUMN closed boolean NOT NULL,
    ADD COLUMN free_only boolean NOT NULL;
ALTER TABLE projections.account_states
    ADD COLUMN time_zone text,
    ADD COLUMN closed boolean NOT NULL DEFAULT false;
ALTER TABLE projections.rebuilt_accounts
    ADD COLUMN time_zone text,
    ADD COLUMN closed boolean NOT NULL;
COMMENT ON COLUMN projections.balance_states.opened IS 'whether the account was opened: before, grants are kept and not allocated';
COMMENT ON COLUMN projections.balance_states.free_only IS 'whether nothing but the free allowance was ever granted';

-- What was folded before, by the rules of now as far as the newest state shows. Where an earlier epoch would have begun
-- otherwise, `projections rebuild balances` brings the rest.
UPDATE projections.balance_states s SET opened = true
FROM projections.account_states a
WHERE a.account_id = s.account_id;

UPDATE projections.balance_states s SET free_only = false
FROM (
    SELECT DISTINCT e.account_id, e.resource
    FROM projections.cursors c
    JOIN meter.events e ON e.shard = c.shard AND e.position <= c.position
    WHERE c.projection = 'balance' AND e.type = 13 AND e.source <> '/credit-meter/meter'
) AS g
WHERE g.account_id = s.account_id COLLATE "default" AND g.resource = s.resource;

UPDATE projections.balance_states SET epoch = 0, base = least(consumed, 0)
WHERE NOT opened AND (epoch > 0 OR consumed < 0);

UPDATE projections.balance_states
SET epoch = epoch + 1,
    base = coalesce((SELECT max(b) FROM unnest(boundaries) b WHERE b <= consumed), least(consumed, 0))
WHERE epoch > 0 AND consumed < base;

-- A fold of the version before that still runs does not give these columns: it must fail instead of writing what is wrong.
ALTER TABLE projections.balance_states
    ALTER COLUMN opened DROP DEFAULT, ALTER COLUMN closed DROP DEFAULT, ALTER COLUMN free_only DROP DEFAULT;
ALTER TABLE projections.account_states ALTER COLUMN closed DROP DEFAULT;

CREATE OR REPLACE VIEW projections.balances AS
SELECT s.account_id,
       CASE s.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       (s.allocation::numeric / 1000000)::numeric(20, 6) AS allocation,
       (s.used::numeric / 1000000)::numeric(20, 6) AS consumed,
       ((s.allocation - s.used)::numeric / 1000000)::numeric(20, 6) AS remaining,
       CASE WHEN s.epoch = 0 THEN NULL
            WHEN s.allocation = 0 THEN CASE WHEN s.used >= 0 THEN 100::numeric ELSE 0::numeric END
            ELSE greatest(round(div(s.used * 10000::numeric, s.allocation) / 100, 2), 0) END AS exhaustion,
       CASE WHEN s.epoch = 0 OR s.allocation <= s.used THEN 'exhausted'
            WHEN (s.allocation - s.used) * 100::numeric < s.allocation * 25::numeric THEN 'low'
            WHEN (s.allocation - s.used) * 100::numeric <= s.allocation * 75::numeric THEN 'moderate'
            ELSE 'good' END AS status,
       s.epoch > 0 AND NOT s.closed AND s.allocation > s.used AS allowed,
       s.epoch,
       (s.granted::numeric / 1000000)::numeric(20, 6) AS lifetime_granted,
       (s.consumed::numeric / 1000000)::numeric(20, 6) AS lifetime_consumed,
       s.as_of, s.shard, s.position, s.free_only,
       CASE WHEN s.closed THEN 'closed' WHEN s.opened THEN 'open' ELSE 'not_opened' END AS account_state
FROM (
    -- What is granted before the opening is kept: it belongs to no allocation yet.
    SELECT *, CASE WHEN epoch = 0 THEN 0 ELSE granted - base END AS allocation, consumed - base AS used
    FROM projections.balance_states
) AS s;

CREATE OR REPLACE VIEW projections.accounts AS
SELECT account_id, plan, display_name, opened_at, as_of, shard, position, time_zone,
       CASE WHEN closed THEN 'closed' ELSE 'open' END AS state
FROM projections.account_states;
