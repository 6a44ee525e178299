-- What was left out of an event that is stored otherwise: shown to people, no outcome of its own and not replayed. The chain
-- does not cover it: no balance, account or notice follows from a remark. Addresses and names do not stand in it.
CREATE TABLE meter.remarks (
    shard int NOT NULL,
    topic text NOT NULL,
    kafka_offset bigint NOT NULL,
    field text NOT NULL,
    account_id text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shard, topic, kafka_offset, field)
);
CREATE INDEX remarks_account ON meter.remarks (shard, account_id);
COMMENT ON COLUMN meter.remarks.field IS 'like display_name or contacts[3], counted from 0';

CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.remarks
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.remarks
    FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change();
