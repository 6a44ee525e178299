-- Addresses and display names of new events are stored encrypted, with a key of their account. Throwing the key away forgets
-- the person, and the chain, which covers what is stored, stays whole. Events of before stay as they are. A meter of the version
-- before goes on and stores in clear; projections of the version before refuse the new type code, loudly, instead of leaving it out.
INSERT INTO meter.event_types (code, type) VALUES (20, 'account.forgotten.v1');

CREATE TABLE meter.keys (
    shard int NOT NULL,
    account_id text NOT NULL,
    key bytea CHECK (octet_length(key) = 32),
    made_at timestamptz NOT NULL,
    forgotten_at timestamptz,
    cleared_at timestamptz,
    PRIMARY KEY (shard, account_id),
    CHECK ((key IS NULL) = (forgotten_at IS NOT NULL)),
    CHECK (cleared_at IS NULL OR forgotten_at IS NOT NULL)
);
CREATE INDEX keys_to_clear ON meter.keys (shard) WHERE forgotten_at IS NOT NULL AND cleared_at IS NULL;
COMMENT ON TABLE meter.keys IS 'what opens the addresses and names of an account in the log; no part of the chain';
COMMENT ON COLUMN meter.keys.key IS 'null: the account was forgotten, and stays so';
COMMENT ON COLUMN meter.keys.cleared_at IS
    'when the account stood on the list outside the database and its refused records were blanked';

CREATE FUNCTION meter.keep_forgotten() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.key IS NULL AND (NEW.shard, NEW.account_id) = (OLD.shard, OLD.account_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'meter.keys: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'A key is made once, and thrown away once: meter forget.';
END
$$;
CREATE TRIGGER keep_forgotten_rows BEFORE UPDATE OR DELETE ON meter.keys
    FOR EACH ROW EXECUTE FUNCTION meter.keep_forgotten();
CREATE TRIGGER keep_forgotten_table BEFORE TRUNCATE ON meter.keys
    FOR EACH STATEMENT EXECUTE FUNCTION meter.keep_forgotten();

-- A refused record of somebody who was forgotten loses its bytes; that it was there, where and why, stays. The batch keeps
-- the digest of its evidence as it was.
ALTER TABLE meter.rejections ADD COLUMN forgotten boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN meter.rejections.forgotten IS 'bytes of an account that was forgotten were taken out';

CREATE FUNCTION meter.refuse_kept_rejection() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    blanked CONSTANT text[] := ARRAY['key', 'value', 'headers', 'detail', 'forgotten'];
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.forgotten AND to_jsonb(NEW) - blanked = to_jsonb(OLD) - blanked
       AND EXISTS (SELECT FROM meter.keys k WHERE k.forgotten_at IS NOT NULL AND k.cleared_at IS NULL) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND EXISTS (
        SELECT FROM meter.pruned p
        WHERE p.shard = OLD.shard
          AND OLD.kafka_offset < CASE OLD.topic WHEN 'metering.usage' THEN p.usage_offset ELSE p.accounts_offset END
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '%.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'What is older than its retention is removed by meter prune, what an account had by meter forget.';
END
$$;
DROP TRIGGER append_only_rows ON meter.rejections;
CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.rejections
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_kept_rejection();
