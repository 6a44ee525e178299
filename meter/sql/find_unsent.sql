-- The first record of usage in each partition that is to be sent on to one of these, and is not yet.
-- $1 topic text, $2 partitions int[]
SELECT o.shard, o.partition, min(o.kafka_offset) AS kafka_offset
FROM meter.outbox o
WHERE o.topic = $1 AND o.usage_end IS NULL AND o.partition = ANY ($2)
GROUP BY o.shard, o.partition
