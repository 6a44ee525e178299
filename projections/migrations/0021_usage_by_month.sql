-- Usage by the account's own month, and its amounts by day and kind: a page of a year reads a few thousand lines instead of a line
-- for each item and day. Both hold months that are over. The lines of the month that runs would cost each fold as much as its days;
-- so the usage service sums a month up when it is over, a few accounts at a time, and a fold adds to it only what comes late.
--
-- How far that is stands in usage_summed, one row per shard. Readers take days where months are not summed up yet: so there is
-- nothing to fill here, and a history of any size is summed up beside the service. The version before knows none of these tables. It
-- may go on beside this one, or come back: `position` tells that it folded meanwhile, and then the shard is summed up anew.
CREATE TABLE projections.usage_months (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    month date NOT NULL,
    resource smallint NOT NULL,
    kind smallint NOT NULL,
    item text COLLATE "C" NOT NULL,
    deployment text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    events bigint NOT NULL,
    amount numeric NOT NULL,
    tokens_in numeric NOT NULL,
    tokens_out numeric NOT NULL,
    seconds numeric NOT NULL,
    last_used timestamptz NOT NULL,
    PRIMARY KEY (shard, account_id, month, resource, kind, item, deployment, category, status)
);
COMMENT ON COLUMN projections.usage_months.month IS 'its first day, in the zone of the account';

CREATE TABLE projections.usage_day_kinds (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    resource smallint NOT NULL,
    kind smallint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (shard, account_id, day, resource, kind)
);

CREATE TABLE projections.usage_summed (
    shard int PRIMARY KEY,
    summed date NOT NULL,
    target date NOT NULL,
    upto text COLLATE "C" NOT NULL,
    position bigint NOT NULL
);
COMMENT ON COLUMN projections.usage_summed.summed IS 'months that begin before it are summed up for all accounts of the shard';
COMMENT ON COLUMN projections.usage_summed.target IS 'those before it only for the accounts up to `upto`';
COMMENT ON COLUMN projections.usage_summed.position IS 'of the last event in the sums; another one than the cursor''s: they do not count';

-- How far the months of each account are summed up: null for not at all.
CREATE VIEW projections.usage_months_until AS
SELECT DISTINCT b.account_id, b.shard, CASE WHEN b.account_id COLLATE "C" <= p.upto THEN p.target ELSE p.summed END AS until
FROM projections.balance_states b
JOIN projections.cursors c ON c.shard = b.shard AND c.projection = 'usage'
LEFT JOIN projections.usage_summed p ON p.shard = b.shard AND p.position = c.position;
COMMENT ON VIEW projections.usage_months_until IS 'months that begin before `until` stand in usage_by_own_month, days before it in usage_by_day_and_kind';

CREATE VIEW projections.usage_by_own_month AS
SELECT u.account_id, u.month, CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.item, u.deployment, u.category, u.status, u.events, (u.amount * 0.000001)::numeric(38, 6) AS amount,
       u.tokens_in, u.tokens_out, u.seconds, u.last_used
FROM projections.usage_months_until a
JOIN projections.usage_months u ON u.shard = a.shard AND u.account_id = a.account_id AND u.month < a.until;
COMMENT ON VIEW projections.usage_by_own_month IS 'months of the account''s own zone that are over and summed up; reversals are negative';

CREATE VIEW projections.usage_by_day_and_kind AS
SELECT u.account_id, u.day, CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       (u.amount * 0.000001)::numeric(38, 6) AS amount
FROM projections.usage_months_until a
JOIN projections.usage_day_kinds u ON u.shard = a.shard AND u.account_id = a.account_id AND u.day < a.until;
COMMENT ON VIEW projections.usage_by_day_and_kind IS 'days of the account''s own zone, of months that are summed up; reversals are negative';
