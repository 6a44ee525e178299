-- The database itself holds what prunes to its rules: only evidence of batches that are there and a day old goes, in order, and
-- what goes is counted by the deletion. The role that prunes could say of fresh evidence that it was pruned, and count nothing.
-- `meter prune` of the version before is refused beside this, because it would count a second time.
CREATE FUNCTION meter.check_pruned() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    before bigint := 0;
    found record;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := OLD.batch;
        IF NEW.shard <> OLD.shard OR NEW.batch <= OLD.batch THEN
            RAISE EXCEPTION 'meter.pruned only goes forward: batch % of shard % follows %', NEW.batch, NEW.shard, OLD.batch
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    END IF;
    SELECT max(b.batch) AS batch, max(b.usage_to) AS usage_to, max(b.accounts_to) AS accounts_to, max(b.recorded_at) AS recorded_at
    INTO found
    FROM meter.batches b
    WHERE b.shard = NEW.shard AND b.batch > before AND b.batch <= NEW.batch;
    IF found.batch IS DISTINCT FROM NEW.batch OR NEW.usage_offset > found.usage_to OR NEW.accounts_offset > found.accounts_to THEN
        RAISE EXCEPTION 'batch % of shard % does not end at offsets % and %', NEW.batch, NEW.shard, NEW.usage_offset, NEW.accounts_offset
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF found.recorded_at > now() - interval '1 day' THEN
        RAISE EXCEPTION 'the evidence of batch % of shard % is not a day old', NEW.batch, NEW.shard
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.pruned_at := now();
    RETURN NEW;
END
$$;
CREATE TRIGGER check_pruned BEFORE INSERT OR UPDATE ON meter.pruned FOR EACH ROW EXECUTE FUNCTION meter.check_pruned();

-- As the owner of the counts: who deletes needs no right to write them.
CREATE FUNCTION meter.count_pruned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF TG_TABLE_NAME = 'rejections' THEN
        INSERT INTO meter.pruned_counts AS c (shard, month, topic, outcome, reason, records)
        SELECT g.shard, date_trunc('month', g.recorded_at AT TIME ZONE 'UTC')::date, g.topic, TG_ARGV[0], g.reason,
               sum(coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(g.offsets) o), g.to_offset - g.kafka_offset, 1))::bigint
        FROM gone g
        GROUP BY 1, 2, 3, 5
        ON CONFLICT (shard, month, topic, outcome, reason) DO UPDATE SET records = c.records + excluded.records;
    ELSE
        INSERT INTO meter.pruned_counts AS c (shard, month, topic, outcome, reason, records)
        SELECT g.shard, date_trunc('month', g.recorded_at AT TIME ZONE 'UTC')::date, g.topic, TG_ARGV[0], '',
               sum(coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(g.offsets) o), 1))::bigint
        FROM gone g
        GROUP BY 1, 2, 3
        ON CONFLICT (shard, month, topic, outcome, reason) DO UPDATE SET records = c.records + excluded.records;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_pruned AFTER DELETE ON meter.duplicates REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION meter.count_pruned('duplicate');
CREATE TRIGGER count_pruned AFTER DELETE ON meter.rejections REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION meter.count_pruned('rejected');
CREATE TRIGGER count_pruned AFTER DELETE ON meter.rerouted REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION meter.count_pruned('rerouted');
