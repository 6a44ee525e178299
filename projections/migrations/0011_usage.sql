-- Usage as a projection of its own, for the pages that show where credits went, and what they need beside it: the catalogue,
-- the pace at which credits go, and as of when all that is. Every key begins with the shard.
--
-- Slots have 15 minutes: every time zone in use today begins its days at one. Sums are NUMERIC, because a producer may
-- report as many tokens as it likes, and no sum of them may stop a fold. '' stands for what usage does not say.
CREATE TABLE projections.usage_slots (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    slot timestamptz NOT NULL,
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
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (shard, account_id, slot, resource, kind, item, deployment, category, status)
) WITH (fillfactor = 70);
COMMENT ON COLUMN projections.usage_slots.slot IS 'the beginning of 15 minutes, by when usage occurred';
COMMENT ON COLUMN projections.usage_slots.changed_at IS 'when the newest event in it was recorded';
COMMENT ON COLUMN projections.usage_slots.kind IS 'code of the event type';
COMMENT ON COLUMN projections.usage_slots.item IS 'model, guardrail, script or tool; of a reversal its reason';
COMMENT ON COLUMN projections.usage_slots.amount IS 'micro-units; reversals are negative';

-- The same by the account's own day: the slots added up, for long ranges.
CREATE TABLE projections.usage_totals (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
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
    PRIMARY KEY (shard, account_id, day, resource, kind, item, deployment, category, status)
) WITH (fillfactor = 70);

-- The zone whose days the totals of an account have; no row: UTC.
CREATE TABLE projections.usage_zones (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    time_zone text NOT NULL,
    PRIMARY KEY (shard, account_id)
);

-- Every item that was used, by deployment, and what its newest event that says so ran on.
CREATE TABLE projections.used_items (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    item text COLLATE "C" NOT NULL,
    deployment text COLLATE "C" NOT NULL,
    first_used timestamptz NOT NULL,
    hardware text,
    replicas int,
    cpus numeric,
    memory_gb numeric,
    language text,
    position bigint NOT NULL,
    PRIMARY KEY (shard, account_id, kind, item, deployment)
) WITH (fillfactor = 70);
COMMENT ON COLUMN projections.used_items.first_used IS 'when usage of it first occurred, of what was folded by then';
COMMENT ON COLUMN projections.used_items.position IS 'of the event that hardware to language are from';

-- The catalogue as the platform tells it; the newest by position counts.
CREATE TABLE projections.items (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    owner text,
    type text,
    language text,
    version text,
    reason text,
    deployed_at timestamptz,
    position bigint NOT NULL,
    PRIMARY KEY (shard, account_id, kind, id)
);
COMMENT ON COLUMN projections.items.kind IS 'model, guardrail, script or tool';
COMMENT ON COLUMN projections.items.id IS 'what usage carries as its model, guardrail, script or tool';

-- Readers name an account and no shard. Both tables are small and seldom written.
CREATE INDEX items_account ON projections.items (account_id);
CREATE INDEX used_items_account ON projections.used_items (account_id);

-- Usage by day as it was folded until now. The usage fold begins at the start of the log; until it has come as far in a shard
-- as the lines of before, readers of usage_by_day see these: they stand still for that time and go back at none. A fold of the
-- version before that still runs must fail instead of adding to them.
ALTER TABLE projections.usage_days RENAME TO usage_days_before;
CREATE TABLE projections.usage_starts (
    shard int PRIMARY KEY,
    position bigint NOT NULL
);
COMMENT ON TABLE projections.usage_starts IS 'how far the lines of usage_days_before go; written once';
INSERT INTO projections.usage_starts (shard, position)
SELECT shard, position FROM projections.cursors WHERE projection = 'balance' AND position > 0;
INSERT INTO projections.cursors (projection, shard)
SELECT 'usage', shard FROM projections.cursors WHERE projection = 'balance'
ON CONFLICT DO NOTHING;

-- Where a rebuild collects what it computes: parts, one row per key and range of positions.
DROP TABLE projections.rebuilt_usage;
CREATE UNLOGGED TABLE projections.rebuilt_slots (LIKE projections.usage_slots);
ALTER TABLE projections.rebuilt_slots ADD COLUMN told_at bigint;
COMMENT ON COLUMN projections.rebuilt_slots.told_at IS 'position of its newest event that says what it ran on';

-- What a producer says for information, where it can be read; null otherwise. The rules are those of schemas/fields.py.
CREATE FUNCTION projections.read_text(value jsonb, most_chars int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'string'
            THEN CASE WHEN length(value #>> '{}') <= most_chars AND value #>> '{}' ~ '\S'
                           AND value #>> '{}' !~ '[\u0001-\u001f\u007f-\u009f]'
                      THEN value #>> '{}' END END;
CREATE FUNCTION projections.read_number(value jsonb, most numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'number'
            THEN CASE WHEN value::numeric BETWEEN 0 AND most THEN value::numeric END END;
CREATE FUNCTION projections.read_whole(value jsonb, most numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'number'
            THEN CASE WHEN value::numeric BETWEEN 0 AND most AND value::numeric = trunc(value::numeric)
                      THEN value::numeric END END;
CREATE FUNCTION projections.read_moment(value jsonb) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF jsonb_typeof(value) = 'string'
       AND value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$' THEN
        RETURN (value #>> '{}')::timestamptz;
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
-- JSON may hold numbers that no numeric holds: such a field is left out.
CREATE FUNCTION projections.read_object(data json) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    field record;
    fields jsonb := '{}';
BEGIN
    FOR field IN SELECT key, value FROM json_each(data) LOOP
        BEGIN
            fields := fields || jsonb_build_object(field.key, field.value::jsonb);
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            NULL;
        END;
    END LOOP;
    RETURN fields;
END
$$;
-- Whether days can be counted in a zone. Names that Postgres takes for rules (`ABC-5`) or abbreviations are none; only such
-- odd ones are looked up in the list, which is read from files.
CREATE FUNCTION projections.is_time_zone(name text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF name IS NULL THEN
        RETURN false;
    END IF;
    IF name = 'UTC' THEN
        RETURN true;
    END IF;
    IF name !~ '^[A-Za-z_-]+/[A-Za-z_/-]+$' THEN
        RETURN EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = is_time_zone.name);
    END IF;
    PERFORM now() AT TIME ZONE name;
    RETURN true;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN false;
END
$$;

-- The views find an account's shard by its balances: whatever was used has one.
CREATE VIEW projections.usage_by_slot AS
SELECT u.account_id, u.slot,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.item, u.deployment, u.category, u.status, u.events, (u.amount * 0.000001)::numeric(38, 6) AS amount,
       u.tokens_in, u.tokens_out, u.seconds, u.last_used
FROM projections.balance_states b
JOIN projections.usage_slots u ON u.shard = b.shard AND u.account_id = b.account_id AND u.resource = b.resource;
COMMENT ON VIEW projections.usage_by_slot IS 'slots of 15 minutes, UTC; reversals are negative';

-- With the columns it always had, by days of UTC.
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
    WHERE c.position >= coalesce(t.position, 0)
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT d.account_id, d.day, d.resource, d.type, d.name, d.events,
           (CASE d.type WHEN 14 THEN -d.amount ELSE d.amount END * 0.000001)::numeric(38, 6), d.changed_at
    FROM projections.usage_days_before d
    JOIN projections.usage_starts t ON t.shard = d.shard
    JOIN projections.cursors c ON c.shard = d.shard AND c.projection = 'usage'
    WHERE c.position < t.position
) AS u;
COMMENT ON VIEW projections.usage_by_day IS
    'days of UTC; amounts of an account and resource add up to its lifetime_consumed, once it is folded as far';

CREATE VIEW projections.usage_by_own_day AS
SELECT u.account_id, u.day, coalesce(z.time_zone, 'UTC') AS time_zone,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.item, u.deployment, u.category, u.status, u.events, (u.amount * 0.000001)::numeric(38, 6) AS amount,
       u.tokens_in, u.tokens_out, u.seconds, u.last_used
FROM projections.balance_states b
JOIN projections.usage_totals u ON u.shard = b.shard AND u.account_id = b.account_id AND u.resource = b.resource
LEFT JOIN projections.usage_zones z ON z.shard = b.shard AND z.account_id = b.account_id;
COMMENT ON VIEW projections.usage_by_own_day IS 'days of the account''s own zone; reversals are negative';

-- Items that the platform told of, used or not, and used ones that it never told of. One row per deployment that was used; an item
-- that never was has one with deployment ''.
CREATE VIEW projections.catalogue AS
WITH used AS NOT MATERIALIZED (
    SELECT *, CASE kind WHEN 1 THEN 'model' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'script' WHEN 4 THEN 'tool' END AS kind_name
    FROM projections.used_items
)
SELECT i.account_id, i.kind, i.id, i.name, i.status, i.owner, i.type, coalesce(i.language, u.language) AS language,
       i.version, i.reason, i.deployed_at, coalesce(u.deployment, '') AS deployment, u.first_used, u.hardware,
       u.replicas, u.cpus, u.memory_gb, true AS told
FROM projections.items i
LEFT JOIN used u ON u.shard = i.shard AND u.account_id = i.account_id AND u.kind_name = i.kind AND u.item = i.id
UNION ALL
SELECT u.account_id, u.kind_name, u.item, u.item, NULL, NULL, NULL, u.language, NULL, NULL, NULL, u.deployment,
       u.first_used, u.hardware, u.replicas, u.cpus, u.memory_gb, false
FROM used u
WHERE NOT EXISTS (
    SELECT FROM projections.items i
    WHERE i.shard = u.shard AND i.account_id = u.account_id AND i.kind = u.kind_name AND i.id = u.item);
COMMENT ON VIEW projections.catalogue IS 'told: whether the platform told of it; else its name is its id';

-- As of when: now for a shard that is folded to the end of its log, so that nobody who is idle looks stale; else the time at
-- which the first event that is not folded yet was recorded.
CREATE VIEW projections.fold_as_of AS
SELECT c.projection, c.shard, s.next_position - 1 - c.position AS behind,
       least(now(), coalesce(e.recorded_at, now())) AS as_of,
       now() - least(now(), coalesce(e.recorded_at, now())) AS lag
FROM projections.cursors c
JOIN meter.shards s ON s.shard = c.shard
LEFT JOIN meter.events e ON e.shard = c.shard AND e.position = c.position + 1;

CREATE VIEW projections.usage_as_of AS
SELECT shard, as_of, lag, behind FROM projections.fold_as_of WHERE projection = 'usage';
CREATE VIEW projections.balances_as_of AS
SELECT shard, as_of, lag, behind FROM projections.fold_as_of WHERE projection = 'balance';

-- At the pace of the last 24 hours. Nothing is said (null) where too little is known: usage in fewer than 3 of those
-- hours or fewer than 10 events; nor where nothing
-- is left, nothing was used, the account is not open, or it lasts for more than a year.
CREATE VIEW projections.runway AS
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
) AS p;
