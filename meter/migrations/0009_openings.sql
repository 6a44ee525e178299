-- Which event opened an account: a later opening has no effect, and where it says something else, it is remarked.
-- The log has no index by account. This table has a row an account and costs usage nothing; the chain does not cover it.
CREATE TABLE meter.openings (
    shard int NOT NULL,
    account_id text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (shard, account_id)
);
COMMENT ON TABLE meter.openings IS 'the position of the event that opened an account';

INSERT INTO meter.openings (shard, account_id, position)
SELECT shard, account_id, min(position)
FROM meter.events
WHERE type > 4 AND type = 10
GROUP BY shard, account_id;

CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.openings
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.openings
    FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change();
