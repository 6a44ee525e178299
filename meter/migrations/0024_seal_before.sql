-- Addresses and names of events stored in clear can be sealed afterwards (`meter seal`): the chain is made anew, and what the hash
-- of each batch was before stays, so that anchors of before are compared with it. Nothing changes until that is run; services of
-- the version before go on, but their `meter verify` does not know such a generation.
ALTER TABLE meter.generations ADD COLUMN sealed_from bytea CHECK (octet_length(sealed_from) = 32);
COMMENT ON COLUMN meter.generations.sealed_from IS
    'hash of the last batch before old personal data was sealed and the log chained anew; null where a database went back in time';

CREATE TABLE meter.former_hashes (
    shard int NOT NULL,
    generation int NOT NULL,
    batch bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (shard, batch, generation)
);
COMMENT ON TABLE meter.former_hashes IS 'of batches that were chained anew: their hash until this generation began';

CREATE TABLE meter.sealed_later (
    shard int NOT NULL,
    generation int NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (shard, position)
);
COMMENT ON TABLE meter.sealed_later IS 'events that were stored in clear, and sealed when this generation began';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['former_hashes', 'sealed_later'] LOOP
        EXECUTE format(
            'CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.%I
             FOR EACH ROW EXECUTE FUNCTION meter.refuse_change()', name);
        EXECUTE format(
            'CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.%I
             FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change()', name);
    END LOOP;
END
$$;
