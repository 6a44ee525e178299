-- Who prunes calls functions that delete, in the place of a right to delete: with DELETE on a table goes the right to lock it whole
-- (LOCK TABLE), and credit_pruner could keep the meter from recording a rejection for as long as it liked. The triggers decide
-- as before what may go, and count it. The services of the version before do not use this; its `meter prune` is refused once
-- the grants of this version are given, and works with this version's program.
CREATE FUNCTION meter.prune_duplicates(of_shard int, of_topic text, from_offset bigint, to_offset bigint,
                                       OUT rows bigint, OUT records bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH gone AS (
        DELETE FROM meter.duplicates t
        WHERE t.shard = $1 AND t.topic = $2 AND t.kafka_offset >= $3 AND t.kafka_offset < $4
        RETURNING coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(t.offsets) o), 1) AS records
    )
    SELECT count(*), coalesce(sum(g.records), 0)::bigint FROM gone g
$$;

CREATE FUNCTION meter.prune_rejections(of_shard int, of_topic text, from_offset bigint, to_offset bigint,
                                       OUT rows bigint, OUT records bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH gone AS (
        DELETE FROM meter.rejections t
        WHERE t.shard = $1 AND t.topic = $2 AND t.kafka_offset >= $3 AND t.kafka_offset < $4
        RETURNING coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(t.offsets) o), t.to_offset - t.kafka_offset, 1) AS records
    )
    SELECT count(*), coalesce(sum(g.records), 0)::bigint FROM gone g
$$;

CREATE FUNCTION meter.prune_rerouted(of_shard int, of_topic text, from_offset bigint, to_offset bigint,
                                     OUT rows bigint, OUT records bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH gone AS (
        DELETE FROM meter.rerouted t
        WHERE t.shard = $1 AND t.topic = $2 AND t.kafka_offset >= $3 AND t.kafka_offset < $4
        RETURNING coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(t.offsets) o), 1) AS records
    )
    SELECT count(*), coalesce(sum(g.records), 0)::bigint FROM gone g
$$;

REVOKE ALL ON FUNCTION meter.prune_duplicates(int, text, bigint, bigint), meter.prune_rejections(int, text, bigint, bigint),
    meter.prune_rerouted(int, text, bigint, bigint) FROM PUBLIC;
