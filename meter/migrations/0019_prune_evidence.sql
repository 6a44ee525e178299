-- Rejections, duplicates and rerouted records may be removed after their retention, a batch's all at once: the batch keeps their
-- digest, and the counts are kept for ever. Up to which batch it was done stands beside the log, so that `meter verify`
-- knows what is missing by intent, and the triggers let nothing newer go. Events, batches and all else are never removed.
CREATE TABLE meter.pruned (
    shard int PRIMARY KEY,
    batch bigint NOT NULL,
    usage_offset bigint NOT NULL,
    accounts_offset bigint NOT NULL,
    pruned_at timestamptz NOT NULL,
    pruned_by text NOT NULL
);
COMMENT ON TABLE meter.pruned IS 'the evidence of the batches up to this one is removed; offsets are those behind it';

CREATE TABLE meter.pruned_counts (
    shard int NOT NULL,
    month date NOT NULL,
    topic text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('duplicate', 'rejected', 'rerouted')),
    reason text NOT NULL,
    records bigint NOT NULL CHECK (records > 0),
    PRIMARY KEY (shard, month, topic, outcome, reason)
);
COMMENT ON TABLE meter.pruned_counts IS 'how many records of a month had each outcome that was removed';
COMMENT ON COLUMN meter.pruned_counts.reason IS 'of a rejection; empty for other outcomes';

-- Who replayed or dismissed a rejection, when and why, stays when the rejection itself is gone.
ALTER TABLE meter.replays DROP CONSTRAINT replays_rejection_id_fkey;
ALTER TABLE meter.dismissals DROP CONSTRAINT dismissals_rejection_id_fkey;

CREATE FUNCTION meter.refuse_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' AND EXISTS (
        SELECT FROM meter.pruned p
        WHERE p.shard = OLD.shard
          AND OLD.kafka_offset < CASE OLD.topic WHEN 'metering.usage' THEN p.usage_offset ELSE p.accounts_offset END
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '%.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'What is older than its retention is removed by meter prune.';
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['duplicates', 'rejections', 'rerouted'] LOOP
        EXECUTE format('DROP TRIGGER append_only_rows ON meter.%I', name);
        EXECUTE format(
            'CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON meter.%I
             FOR EACH ROW EXECUTE FUNCTION meter.refuse_kept()', name);
    END LOOP;
END
$$;
