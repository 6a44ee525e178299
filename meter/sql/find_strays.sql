-- Rows of a shard outside all batches: before the first or behind the last, or of a topic that is not read. Comparing
-- pairs goes along the index: three jumps a table, however much there is.
-- $1 shard int, $2 last position bigint, $3 following usage_offset bigint, $4 following accounts_offset bigint
(SELECT 'events' AS place, 'position ' || position AS at
 FROM meter.events WHERE shard = $1 AND position > $2 ORDER BY position LIMIT 10)
UNION ALL
(SELECT 'events', 'position ' || position FROM meter.events WHERE shard = $1 AND position < 1 ORDER BY position LIMIT 10)
UNION ALL
(SELECT 'duplicates', topic || ' offset ' || kafka_offset
 FROM meter.duplicates
 WHERE shard = $1 AND (topic, kafka_offset) < ('metering.accounts', 0)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'duplicates', topic || ' offset ' || kafka_offset
 FROM meter.duplicates
 WHERE shard = $1 AND (topic, kafka_offset) >= ('metering.accounts', $4) AND (topic, kafka_offset) < ('metering.usage', 0)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'duplicates', topic || ' offset ' || kafka_offset
 FROM meter.duplicates
 WHERE shard = $1 AND (topic, kafka_offset) >= ('metering.usage', $3)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'rejections', topic || ' offset ' || kafka_offset
 FROM meter.rejections
 WHERE shard = $1 AND (topic, kafka_offset) < ('metering.accounts', 0)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'rejections', topic || ' offset ' || kafka_offset
 FROM meter.rejections
 WHERE shard = $1 AND (topic, kafka_offset) >= ('metering.accounts', $4) AND (topic, kafka_offset) < ('metering.usage', 0)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'rejections', topic || ' offset ' || kafka_offset
 FROM meter.rejections
 WHERE shard = $1 AND (topic, kafka_offset) >= ('metering.usage', $3)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'gaps', topic || ' offset ' || from_offset
 FROM meter.gaps
 WHERE shard = $1 AND (topic, from_offset) < ('metering.accounts', 0)
 ORDER BY topic, from_offset LIMIT 10)
UNION ALL
(SELECT 'gaps', topic || ' offset ' || from_offset
 FROM meter.gaps
 WHERE shard = $1 AND (topic, from_offset) >= ('metering.accounts', $4) AND (topic, from_offset) < ('metering.usage', 0)
 ORDER BY topic, from_offset LIMIT 10)
UNION ALL
(SELECT 'gaps', topic || ' offset ' || from_offset
 FROM meter.gaps
 WHERE shard = $1 AND (topic, from_offset) >= ('metering.usage', $3)
 ORDER BY topic, from_offset LIMIT 10)
UNION ALL
(SELECT 'rerouted', topic || ' offset ' || kafka_offset
 FROM meter.rerouted
 WHERE shard = $1 AND (topic, kafka_offset) < ('metering.accounts', 0)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'rerouted', topic || ' offset ' || kafka_offset
 FROM meter.rerouted
 WHERE shard = $1 AND (topic, kafka_offset) >= ('metering.accounts', $4) AND (topic, kafka_offset) < ('metering.usage', 0)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'rerouted', topic || ' offset ' || kafka_offset
 FROM meter.rerouted
 WHERE shard = $1 AND (topic, kafka_offset) >= ('metering.usage', $3)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'waiting', topic || ' offset ' || kafka_offset
 FROM meter.waiting
 WHERE shard = $1 AND (topic, kafka_offset) < ('metering.accounts', 0)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'waiting', topic || ' offset ' || kafka_offset
 FROM meter.waiting
 WHERE shard = $1 AND (topic, kafka_offset) >= ('metering.accounts', $4) AND (topic, kafka_offset) < ('metering.usage', 0)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'waiting', topic || ' offset ' || kafka_offset
 FROM meter.waiting
 WHERE shard = $1 AND (topic, kafka_offset) >= ('metering.usage', $3)
 ORDER BY topic, kafka_offset LIMIT 10)
UNION ALL
(SELECT 'generations', 'generation ' || generation
 FROM meter.generations g
 WHERE g.shard = $1 AND NOT EXISTS (SELECT FROM meter.batches b WHERE b.shard = g.shard AND b.batch = g.batch)
 ORDER BY generation LIMIT 10)
UNION ALL
(SELECT 'moved', 'from shard ' || origin
 FROM meter.moved m
 WHERE m.shard = $1 AND NOT EXISTS (SELECT FROM meter.batches b WHERE b.shard = m.shard AND b.batch = m.batch)
 ORDER BY origin LIMIT 10)
