-- Messages for the outbox, in the order they are to be published.
-- $1 shards int[], $2 keys text[], $3 values bytea[]
INSERT INTO projections.outbox (shard, key, value)
SELECT shard, key, value
FROM unnest($1::int[], $2::text[], $3::bytea[]) WITH ORDINALITY AS m (shard, key, value, number)
ORDER BY number
