-- The last batch of a chunk that starts with a batch: at most $3 rows and $4 batches, but at least one batch.
-- $1 shard int, $2 from batch bigint, $3 rows bigint, $4 batches bigint
SELECT max(batch)
FROM (
    SELECT batch, row_number() OVER (ORDER BY batch) AS number,
           sum(stored::bigint + duplicates + rejected) OVER (ORDER BY batch) AS total
    FROM (SELECT * FROM meter.batches WHERE shard = $1 AND batch >= $2 ORDER BY batch LIMIT $4) next
) counted
WHERE total <= $3::bigint OR number = 1
