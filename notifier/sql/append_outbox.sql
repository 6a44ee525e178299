-- Events to publish, in order.
-- $1 shards int[], $2 keys text[], $3 values bytea[]
INSERT INTO notifier.outbox (shard, key, value)
SELECT shard, key, value
FROM unnest($1::int[], $2::text[], $3::bytea[]) WITH ORDINALITY AS new (shard, key, value, number)
ORDER BY number
