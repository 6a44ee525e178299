-- The read models, the cursor of each projection beside them, and the outbox they publish through.
-- Keys are compared byte by byte (COLLATE "C"): nobody reads them in dictionary order, and a language's rules would
-- make every comparison in the indexes dearer.
CREATE SCHEMA projections;

CREATE TABLE projections.cursors (
    projection text NOT NULL,
    shard int NOT NULL CHECK (shard >= 0),
    position bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    PRIMARY KEY (projection, shard)
) WITH (fillfactor = 50);

-- State of the fold, in micro-units. granted and consumed are lifetime totals; base is the cumulative grant boundary
-- the current epoch starts at; boundaries are all cumulative grant totals so far, ascending.
CREATE TABLE projections.balance_states (
    account_id text COLLATE "C" NOT NULL,
    resource smallint NOT NULL,
    shard int NOT NULL,
    granted bigint NOT NULL,
    consumed bigint NOT NULL,
    base bigint NOT NULL,
    epoch int NOT NULL,
    boundaries bigint[] NOT NULL,
    position bigint NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (account_id, resource)
) WITH (fillfactor = 70);

-- What everyone reads: one row per account and resource, in credits or runs.
CREATE VIEW projections.balances AS
SELECT s.account_id,
       CASE s.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       ((s.granted - s.base)::numeric / 1000000)::numeric(20, 6) AS allocation,
       ((s.consumed - s.base)::numeric / 1000000)::numeric(20, 6) AS consumed,
       ((s.granted - s.consumed)::numeric / 1000000)::numeric(20, 6) AS remaining,
       CASE WHEN s.epoch = 0 THEN NULL
            WHEN s.granted = s.base THEN CASE WHEN s.consumed >= s.granted THEN 100::numeric ELSE 0::numeric END
            ELSE greatest(round((s.consumed - s.base) * 100::numeric / (s.granted - s.base), 2), 0) END AS exhaustion,
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

-- Where the credits went: per account, UTC day of occurrence, kind of event and name (model, guardrail, script, tool;
-- of a reversal its reason).
CREATE TABLE projections.usage_days (
    account_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    resource smallint NOT NULL,
    type smallint NOT NULL,
    name text COLLATE "C" NOT NULL,
    shard int NOT NULL,
    events bigint NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (account_id, day, resource, type, name)
) WITH (fillfactor = 70);

CREATE VIEW projections.usage_by_day AS
SELECT u.account_id, u.day,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.type WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.name, u.events,
       ((CASE u.type WHEN 14 THEN -u.amount ELSE u.amount END)::numeric / 1000000)::numeric(20, 6) AS amount
FROM projections.usage_days u;
COMMENT ON VIEW projections.usage_by_day IS
    'reversals are negative, so the amounts of an account and resource add up to its lifetime_consumed';

CREATE TABLE projections.account_states (
    account_id text COLLATE "C" PRIMARY KEY,
    shard int NOT NULL,
    plan text NOT NULL,
    display_name text,
    contacts jsonb NOT NULL,
    opened_at timestamptz NOT NULL,
    position bigint NOT NULL,
    as_of timestamptz NOT NULL
);
COMMENT ON COLUMN projections.account_states.contacts IS 'list of email addresses; personal data, not in the view';

CREATE VIEW projections.accounts AS
SELECT account_id, plan, display_name, opened_at, as_of, shard, position FROM projections.account_states;

-- Events to publish on metering.balances; ids ascend in commit order within a shard.
CREATE TABLE projections.outbox (
    shard int NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    key text NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (shard, id)
);
-- The row a publisher locks while it publishes a shard, apart from the fold's cursor so that neither waits for the other.
CREATE TABLE projections.outbox_shards (shard int PRIMARY KEY);
