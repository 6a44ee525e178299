-- Every shard that has a row anywhere or should have one (one per partition of the input topics); reads a few index
-- entries of each table.
WITH RECURSIVE events AS (
    SELECT min(shard) AS shard FROM meter.events
    UNION ALL
    SELECT (SELECT min(v.shard) FROM meter.events v WHERE v.shard > e.shard) FROM events e WHERE e.shard IS NOT NULL
), batches AS (
    SELECT min(shard) AS shard FROM meter.batches
    UNION ALL
    SELECT (SELECT min(v.shard) FROM meter.batches v WHERE v.shard > e.shard) FROM batches e WHERE e.shard IS NOT NULL
), duplicates AS (
    SELECT min(shard) AS shard FROM meter.duplicates
    UNION ALL
    SELECT (SELECT min(v.shard) FROM meter.duplicates v WHERE v.shard > e.shard)
    FROM duplicates e WHERE e.shard IS NOT NULL
), rejections AS (
    SELECT min(shard) AS shard FROM meter.rejections
    UNION ALL
    SELECT (SELECT min(v.shard) FROM meter.rejections v WHERE v.shard > e.shard)
    FROM rejections e WHERE e.shard IS NOT NULL
), gaps AS (
    SELECT min(shard) AS shard FROM meter.gaps
    UNION ALL
    SELECT (SELECT min(v.shard) FROM meter.gaps v WHERE v.shard > e.shard) FROM gaps e WHERE e.shard IS NOT NULL
)
SELECT found.shard, coalesce(max(s.next_position) - 1, 0) AS events
FROM (
    SELECT shard FROM events UNION SELECT shard FROM batches UNION SELECT shard FROM duplicates
    UNION SELECT shard FROM rejections UNION SELECT shard FROM gaps UNION SELECT shard FROM meter.shards
    UNION SELECT generate_series(0, (SELECT max(partitions) FROM meter.topics) - 1)
) found
LEFT JOIN meter.shards s ON s.shard = found.shard
WHERE found.shard IS NOT NULL
GROUP BY found.shard
ORDER BY found.shard
