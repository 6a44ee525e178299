-- Those of these anchors of a shard that the log contradicts, with what the log has instead (nulls: no such batch). What an older generation
-- had behind the place at which a later one begins is recorded as lost; where the log was chained anew when a later one began,
-- an anchor of before is compared with what the hash was until then.
-- $1 shard int, $2 batches bigint[], $3 positions bigint[], $4 hashes bytea[], $5 generations int[]
SELECT a.number - 1 AS index, CASE WHEN b.hash IS NOT NULL THEN coalesce(f.hash, b.hash) END AS hash
FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::int[]) WITH ORDINALITY
    AS a (batch, position, hash, generation, number)
LEFT JOIN meter.batches b ON b.shard = $1 AND b.batch = a.batch
LEFT JOIN LATERAL (
    SELECT h.hash
    FROM meter.former_hashes h
    JOIN meter.generations g ON g.shard = h.shard AND g.generation = h.generation AND g.sealed_from IS NOT NULL
    WHERE h.shard = $1 AND h.batch = a.batch AND h.generation > a.generation
    ORDER BY h.generation
    LIMIT 1
) AS f ON true
WHERE (coalesce(f.hash, b.hash) IS DISTINCT FROM a.hash OR b.last_position IS DISTINCT FROM a.position)
  AND NOT EXISTS (SELECT FROM meter.generations g
                  WHERE g.shard = $1 AND g.generation > a.generation AND g.batch <= a.batch AND g.sealed_from IS NULL)
ORDER BY a.number
