-- Which event of usage a reversal takes back, and how much of it: usage is reversed once, and in its own line. Rows follow from
-- the log alone, so `meter verify` works them out again; reversals stored before they had to name an event have none.
CREATE TABLE meter.reversals (
    shard int NOT NULL,
    position bigint NOT NULL,
    reverses bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    PRIMARY KEY (shard, reverses, position),
    UNIQUE (shard, position),
    CHECK (reverses < position)
);
COMMENT ON COLUMN meter.reversals.position IS 'of the usage.reversed event';
COMMENT ON COLUMN meter.reversals.reverses IS 'position of the usage that it reverses';
COMMENT ON COLUMN meter.reversals.amount IS 'micro-units, as in the event';

CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.reversals
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.reversals
    FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change();
