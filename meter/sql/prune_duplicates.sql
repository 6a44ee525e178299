-- Remove old duplicates of a shard; a trigger adds their number to the counts of their months. Returns how many rows and records.
-- Comparing pairs goes along the index.
-- $1 shard int, $2 topic text, $3 from offset bigint, $4 up to offset bigint (not included)
WITH gone AS (
    DELETE FROM meter.duplicates t
    WHERE t.shard = $1 AND t.topic = $2 AND t.kafka_offset >= $3 AND t.kafka_offset < $4
    RETURNING coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(t.offsets) o), 1) AS records
)
SELECT count(*) AS rows, coalesce(sum(g.records), 0)::bigint AS records FROM gone g
