-- list_log_shards where the tables are distributed: each node tells which shards it has rows of, and reads an
-- index of each table for it.
SELECT found.shard, coalesce(max(s.next_position) - 1, 0) AS events
FROM (
    SELECT DISTINCT shard FROM meter.events
    UNION SELECT DISTINCT shard FROM meter.batches
    UNION SELECT DISTINCT shard FROM meter.duplicates
    UNION SELECT DISTINCT shard FROM meter.rejections
    UNION SELECT DISTINCT shard FROM meter.gaps
    UNION SELECT shard FROM meter.shards
    UNION SELECT generate_series(0, (SELECT max(partitions) FROM meter.topics) - 1)
) found
LEFT JOIN (SELECT shard, next_position FROM meter.shards OFFSET 0) s ON s.shard = found.shard
GROUP BY found.shard
ORDER BY found.shard
