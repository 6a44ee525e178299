-- Reversals whose usage is not read yet wait: an outcome like the others, with the record in the outbox until it is tried again. Each
-- batch says how many, its hash covers it from version 4 on, and its digest the rows.
CREATE TABLE meter.waiting (
    shard int NOT NULL,
    topic text NOT NULL,
    kafka_offset bigint NOT NULL,
    account_id text NOT NULL,
    event_id text NOT NULL,
    reverses text NOT NULL,
    usage_end bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shard, topic, kafka_offset)
);
COMMENT ON TABLE meter.waiting IS 'reversals that came before their usage; the record is in meter.outbox until it is sent again';
COMMENT ON COLUMN meter.waiting.usage_end IS 'end of the shard''s usage when it was read: once that is stored, it is tried again';

CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.waiting
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.waiting
    FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change();

ALTER TABLE meter.outbox ADD COLUMN usage_end bigint, ADD COLUMN held_at timestamptz;
COMMENT ON COLUMN meter.outbox.usage_end IS 'of a waiting reversal: it is sent once the shard''s usage is stored up to here';

ALTER TABLE meter.batches ADD COLUMN waiting int NOT NULL DEFAULT 0;
-- A meter of the version before links no reversal to its usage: it must fail, loudly and without storing anything.
ALTER TABLE meter.batches ALTER COLUMN waiting DROP DEFAULT;
