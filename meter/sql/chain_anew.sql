-- Give batches their new hashes; the former ones are kept.
-- $1 shard int, $2 generation int, $3 batches bigint[], $4 previous bytea[], $5 hashes bytea[]
WITH kept AS (
    INSERT INTO meter.former_hashes (shard, generation, batch, hash)
    SELECT b.shard, $2, b.batch, b.hash FROM meter.batches b WHERE b.shard = $1 AND b.batch = ANY ($3::bigint[])
)
UPDATE meter.batches b SET previous = n.previous, hash = n.hash
FROM unnest($3::bigint[], $4::bytea[], $5::bytea[]) AS n (batch, previous, hash)
WHERE b.shard = $1 AND b.batch = n.batch
