-- The next batches that were chained anew when a generation began, with their hash until then and that of the batch before.
-- $1 shard int, $2 generation int, $3 after batch bigint, $4 most bigint
SELECT f.batch, f.hash,
       coalesce(
           (SELECT p.hash FROM meter.former_hashes p
            WHERE p.shard = f.shard AND p.batch = f.batch - 1 AND p.generation >= $2 ORDER BY p.generation LIMIT 1),
           (SELECT b.hash FROM meter.batches b WHERE b.shard = f.shard AND b.batch = f.batch - 1),
           decode(repeat('00', 32), 'hex')) AS previous
FROM meter.former_hashes f
WHERE f.shard = $1 AND f.generation = $2 AND f.batch > $3
ORDER BY f.batch
LIMIT $4
