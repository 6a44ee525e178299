-- Those of these anchors that the log contradicts, with what the log has instead (nulls: no such batch).
-- $1 shards int[], $2 batches bigint[], $3 positions bigint[], $4 hashes bytea[]
SELECT a.number - 1 AS index, b.hash
FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bytea[]) WITH ORDINALITY AS a (shard, batch, position, hash, number)
LEFT JOIN meter.batches b ON b.shard = a.shard AND b.batch = a.batch
WHERE b.hash IS DISTINCT FROM a.hash OR b.last_position IS DISTINCT FROM a.position
ORDER BY a.number
