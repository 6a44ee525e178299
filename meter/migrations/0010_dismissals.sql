-- Rejections that a person has dealt with: who, when and why. They leave the list and stay in the log of evidence.
CREATE TABLE meter.dismissals (
    shard int NOT NULL,
    rejection_id bigint NOT NULL REFERENCES meter.rejections,
    reason text NOT NULL,
    dismissed_by text NOT NULL,
    dismissed_at timestamptz NOT NULL,
    PRIMARY KEY (shard, rejection_id)
);

CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.dismissals
    FOR EACH ROW EXECUTE FUNCTION meter.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON meter.dismissals
    FOR EACH STATEMENT EXECUTE FUNCTION meter.refuse_change();
