-- Those of these anchors that the log contradicts, with what the log has instead (nulls: no such batch). What an older generation
-- had behind the place at which a later one begins is recorded as lost.
-- $1 shards int[], $2 batches bigint[], $3 positions bigint[], $4 hashes bytea[], $5 generations int[]
SELECT a.number - 1 AS index, b.hash
FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bytea[], $5::int[]) WITH ORDINALITY
    AS a (shard, batch, position, hash, generation, number)
LEFT JOIN meter.batches b ON b.shard = a.shard AND b.batch = a.batch
WHERE (b.hash IS DISTINCT FROM a.hash OR b.last_position IS DISTINCT FROM a.position)
  AND NOT EXISTS (SELECT FROM meter.generations g
                  WHERE g.shard = a.shard AND g.generation > a.generation AND g.batch <= a.batch)
ORDER BY a.number
