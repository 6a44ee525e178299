-- Records that were sent on, by source and topic: whose producers choose other partitions, how often and when last.
-- $1 since timestamptz or null, $2 limit bigint
SELECT source, topic,
       sum(coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(offsets) o), 1))::bigint AS records,
       count(DISTINCT account_id) AS accounts,
       min(recorded_at) AS first, max(recorded_at) AS last
FROM meter.rerouted
WHERE $1::timestamptz IS NULL OR recorded_at >= $1
GROUP BY source, topic
ORDER BY records DESC, source, topic
LIMIT $2
