-- Remove old duplicates of a shard and add their number to the counts of their months; returns how many rows and records.
-- Comparing pairs goes along the index.
-- $1 shard int, $2 topic text, $3 from offset bigint, $4 up to offset bigint (not included)
WITH gone AS (
    DELETE FROM meter.duplicates t
    WHERE t.shard = $1 AND t.topic = $2 AND t.kafka_offset >= $3 AND t.kafka_offset < $4
    RETURNING t.topic, t.recorded_at, t.offsets
), counts AS (
    SELECT date_trunc('month', g.recorded_at AT TIME ZONE 'UTC')::date AS month, '' AS reason, count(*) AS rows,
           sum(coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(g.offsets) o), 1))::bigint AS records
    FROM gone g
    GROUP BY 1, 2
), added AS (
    INSERT INTO meter.pruned_counts AS c (shard, month, topic, outcome, reason, records)
    SELECT $1, n.month, $2, 'duplicate', n.reason, n.records FROM counts n
    ON CONFLICT (shard, month, topic, outcome, reason) DO UPDATE SET records = c.records + excluded.records
)
SELECT coalesce(sum(n.rows), 0)::bigint AS rows, coalesce(sum(n.records), 0)::bigint AS records FROM counts n
