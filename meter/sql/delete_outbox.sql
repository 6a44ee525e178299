-- Delete records that were sent on.
-- $1 shards int[], $2 topics text[], $3 kafka offsets bigint[]
DELETE FROM meter.outbox o USING unnest($1::int[], $2::text[], $3::bigint[]) AS p (shard, topic, kafka_offset)
WHERE o.shard = p.shard AND o.topic = p.topic AND o.kafka_offset = p.kafka_offset /*citus AND o.shard = $1[1] */;
