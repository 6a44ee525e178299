-- More shards for good (meter split): the accounts of a shard are shared out between it and new ones, with their events, whose
-- positions stay. The batches that stored those events stay where they are, with their hashes: this table says which shards hold
-- events of another shard's batches, and up to which position. The version before goes on: it neither reads nor writes this.
CREATE TABLE meter.moved (
    shard int NOT NULL,
    origin int NOT NULL,
    upto bigint NOT NULL CHECK (upto >= 0),
    batch bigint NOT NULL CHECK (batch >= 1),
    PRIMARY KEY (shard, origin),
    CHECK (shard > origin)
);
CREATE INDEX moved_origin ON meter.moved (origin);
COMMENT ON TABLE meter.moved IS 'each row is covered by the hash of the batch with which its shard begins';
COMMENT ON COLUMN meter.moved.origin IS 'the shard whose batches stored the events of the accounts that moved';
COMMENT ON COLUMN meter.moved.upto IS 'the last position that the origin had when they moved; the shard goes on behind it';
COMMENT ON COLUMN meter.moved.batch IS 'of the shard: the batch that records it, without events';

CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.moved
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.moved
    FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change();

-- Who moves where, during `meter split` alone.
CREATE UNLOGGED TABLE meter.moving (
    shard int NOT NULL,
    account_id text NOT NULL,
    to_shard int NOT NULL,
    PRIMARY KEY (shard, account_id)
);
