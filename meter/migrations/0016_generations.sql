-- A database that was restored to an earlier moment begins a new generation: where the log was cut is recorded in the log itself.
ALTER TABLE meter.shards ADD COLUMN generation int NOT NULL DEFAULT 1 CHECK (generation >= 1);
COMMENT ON COLUMN meter.shards.generation IS 'number of the log''s history: meter recover begins a new one';

CREATE TABLE meter.generations (
    shard int NOT NULL,
    generation int NOT NULL CHECK (generation >= 2),
    batch bigint NOT NULL,
    from_position bigint NOT NULL,
    usage_offset bigint NOT NULL,
    accounts_offset bigint NOT NULL,
    head bytea NOT NULL CHECK (octet_length(head) = 32),
    usage_known bigint NOT NULL,
    accounts_known bigint NOT NULL,
    position_known bigint NOT NULL,
    begun_at timestamptz NOT NULL,
    begun_by text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (shard, generation),
    UNIQUE (shard, batch)
);
COMMENT ON TABLE meter.generations IS 'each row is covered by the hash of the batch that begins the generation';
COMMENT ON COLUMN meter.generations.batch IS 'the batch that begins it; it holds no events';
COMMENT ON COLUMN meter.generations.from_position IS 'what an older generation had at this position and behind it is lost';
COMMENT ON COLUMN meter.generations.usage_offset IS 'where the usage is read on, as is accounts_offset of accounts';
COMMENT ON COLUMN meter.generations.head IS 'hash of the last batch that was left';
COMMENT ON COLUMN meter.generations.usage_known IS 'the offset up to which Kafka said that usage was stored, as is accounts_known';
COMMENT ON COLUMN meter.generations.position_known IS 'the highest position that was found outside the database, 0 for none';

CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.generations
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.generations
    FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change();
