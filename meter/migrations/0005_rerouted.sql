-- Records in a partition that is not their account's: what became of them, and the copies that wait to be sent on.
CREATE TABLE meter.rerouted (
    shard int NOT NULL,
    topic text NOT NULL,
    kafka_offset bigint NOT NULL,
    partition int NOT NULL,
    account_id text NOT NULL,
    source text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shard, topic, kafka_offset)
);
COMMENT ON COLUMN meter.rerouted.shard IS 'the partition it was found in';
COMMENT ON COLUMN meter.rerouted.partition IS 'the partition of its account, to which it is sent once';

CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.rerouted
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.rerouted
    FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change();

-- Written with the row above, deleted once the record is on the broker. Headers are a JSON list of [name, base64 value or
-- null] as text: jsonb holds no NUL.
CREATE TABLE meter.outbox (
    shard int NOT NULL,
    topic text NOT NULL,
    kafka_offset bigint NOT NULL,
    partition int NOT NULL,
    key bytea,
    value bytea NOT NULL,
    headers text NOT NULL,
    timestamp_ms bigint NOT NULL,
    PRIMARY KEY (shard, topic, kafka_offset)
);

-- One row per shard, for whoever publishes its outbox to lock: not the row of meter.shards, which the writer needs.
CREATE TABLE meter.outbox_shards (shard int PRIMARY KEY);
INSERT INTO meter.outbox_shards (shard) SELECT shard FROM meter.shards;
