-- The event store: append-only events per shard, the shard's cursor beside them, and everything that was not stored.
CREATE SCHEMA meter;

-- Codes of event types, so that a row spends two bytes on its type. Codes are never reused.
CREATE TABLE meter.event_types (
    code smallint PRIMARY KEY,
    type text NOT NULL UNIQUE
);
INSERT INTO meter.event_types (code, type) VALUES
    (1, 'usage.model_inference.v1'),
    (2, 'usage.guardrail.v1'),
    (3, 'usage.custom_script.v1'),
    (4, 'usage.tool_run.v1'),
    (10, 'account.opened.v1'),
    (11, 'account.plan_changed.v1'),
    (12, 'account.contacts_changed.v1'),
    (13, 'credits.granted.v1'),
    (14, 'usage.reversed.v1');

CREATE TABLE meter.resources (
    code smallint PRIMARY KEY,
    resource text NOT NULL UNIQUE
);
INSERT INTO meter.resources (code, resource) VALUES (1, 'model_credits'), (2, 'tool_runs');

-- Identity of the input topics: a re-created topic has another id, and its offsets mean something else.
CREATE TABLE meter.topics (
    topic text PRIMARY KEY,
    topic_id text NOT NULL,
    partitions int NOT NULL CHECK (partitions > 0),
    recorded_at timestamptz NOT NULL
);

-- One row per shard (Kafka partition of both input topics): the next offsets to read and the head of the log.
-- The compare-and-set on the offsets is the fence: a writer that lost its shard updates no row.
CREATE TABLE meter.shards (
    shard int PRIMARY KEY CHECK (shard >= 0),
    usage_offset bigint NOT NULL DEFAULT 0 CHECK (usage_offset >= 0),
    accounts_offset bigint NOT NULL DEFAULT 0 CHECK (accounts_offset >= 0),
    next_position bigint NOT NULL DEFAULT 1 CHECK (next_position >= 1),
    next_batch bigint NOT NULL DEFAULT 1 CHECK (next_batch >= 1),
    head bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(head) = 32)
) WITH (fillfactor = 50);

-- Amounts are whole micro-units (1 credit = 1 run = 1,000,000) and never negative; the type tells their direction.
CREATE TABLE meter.events (
    position bigint NOT NULL CHECK (position >= 1),
    amount bigint NOT NULL CHECK (amount >= 0),
    kafka_offset bigint NOT NULL CHECK (kafka_offset >= 0),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    shard int NOT NULL,
    type smallint NOT NULL,
    resource smallint,
    account_id text NOT NULL,
    name text NOT NULL,
    source text NOT NULL,
    data json NOT NULL,
    extensions json,
    CONSTRAINT events_position PRIMARY KEY (shard, position),
    CONSTRAINT events_event_id UNIQUE (shard, event_id)
);
COMMENT ON COLUMN meter.events.amount IS 'micro-units of the resource; 0 where the type moves no credits';
COMMENT ON COLUMN meter.events.name IS 'model, guardrail, script, tool, plan, grant reason or reversal reason';
COMMENT ON COLUMN meter.events.kafka_offset IS 'offset of the record it came from, in the topic its type belongs to';
COMMENT ON COLUMN meter.events.data IS 'the CloudEvents data, as sent';
COMMENT ON COLUMN meter.events.extensions IS 'CloudEvents extension attributes, as sent';

-- One row per committed batch: the offsets it covers, what became of them, and the hash that chains it to the last one.
CREATE TABLE meter.batches (
    shard int NOT NULL,
    batch bigint NOT NULL CHECK (batch >= 1),
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    usage_from bigint NOT NULL,
    usage_to bigint NOT NULL,
    accounts_from bigint NOT NULL,
    accounts_to bigint NOT NULL,
    stored int NOT NULL,
    duplicates int NOT NULL,
    rejected int NOT NULL,
    gaps bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    previous bytea NOT NULL CHECK (octet_length(previous) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (shard, batch),
    CHECK (last_position - first_position + 1 = stored),
    CHECK (usage_to >= usage_from AND accounts_to >= accounts_from)
);
COMMENT ON COLUMN meter.batches.stored IS 'event rows; an account.opened record is stored with one credits.granted row per resource';

-- Records whose event id was already stored (or stood earlier in the same batch).
CREATE TABLE meter.duplicates (
    shard int NOT NULL,
    topic text NOT NULL,
    kafka_offset bigint NOT NULL,
    event_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shard, topic, kafka_offset)
);

-- Records that break the contract, with the original bytes. Nothing is lost: each can be shown and replayed.
CREATE TABLE meter.rejections (
    rejection_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard int NOT NULL,
    topic text NOT NULL,
    kafka_offset bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL DEFAULT '[]',
    kafka_timestamp timestamptz,
    recorded_at timestamptz NOT NULL,
    UNIQUE (shard, topic, kafka_offset)
);
COMMENT ON COLUMN meter.rejections.headers IS 'list of [name, base64 value or null], in order';

-- A replay sends the original bytes again as a new record; the rejection itself stays as it was.
CREATE TABLE meter.replays (
    replay_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rejection_id bigint NOT NULL REFERENCES meter.rejections,
    replayed_by text NOT NULL,
    replayed_at timestamptz NOT NULL
);

-- Offsets that the broker never delivered (transaction markers, records removed by retention). [from_offset, to_offset)
CREATE TABLE meter.gaps (
    shard int NOT NULL,
    topic text NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shard, topic, from_offset),
    CHECK (to_offset > from_offset)
);

CREATE FUNCTION meter.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Correct a wrong event with a new one (usage.reversed.v1 or credits.granted.v1).';
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['events', 'batches', 'duplicates', 'rejections', 'replays', 'gaps'] LOOP
        EXECUTE format(
            'CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.%I
             FOR EACH ROW EXECUTE FUNCTION meter.refuse_change()', name);
        EXECUTE format(
            'CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.%I
             FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change()', name);
    END LOOP;
END
$$;

-- For people: the log with names in place of codes and credits in place of micro-units.
CREATE VIEW meter.event_log AS
SELECT e.shard, e.position, e.event_id, t.type, e.account_id, r.resource,
       (e.amount::numeric / 1000000)::numeric(20, 6) AS amount,
       e.name, e.occurred_at, e.recorded_at, e.kafka_offset, e.source, e.data, e.extensions
FROM meter.events e
JOIN meter.event_types t ON t.code = e.type
LEFT JOIN meter.resources r ON r.code = e.resource;
