-- Events to publish, in order.
-- $1 shard int, $2 keys text[], $3 values bytea[]
INSERT INTO notifier.outbox (shard, key, value)
SELECT $1, key, value
FROM unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS new (key, value, number)
ORDER BY number
