-- The next batches of a shard whose evidence is old enough, in order, up to the first that is newer or until their rows are
-- many; null where there is none. Batches of chains before version 3 are left alone: their hash covers the rows.
-- $1 shard int, $2 recorded before timestamptz, $3 most rows bigint
WITH following AS (
    SELECT b.batch, b.usage_to, b.accounts_to, b.recorded_at < $2 AS old, b.chain_version > 2 AS keeps_digest,
           b.duplicates + b.rejected + b.rerouted AS records
    FROM meter.batches b
    WHERE b.shard = $1 AND b.batch > coalesce((SELECT p.batch FROM meter.pruned p WHERE p.shard = $1), 0)
    ORDER BY b.batch
    LIMIT 2000
), counted AS (
    SELECT f.*, bool_and(f.old) OVER w AS all_old, sum(f.records) OVER w AS so_far, row_number() OVER w AS number
    FROM following f
    WINDOW w AS (ORDER BY f.batch)
)
SELECT max(c.batch) AS batch, max(c.usage_to) AS usage_offset, max(c.accounts_to) AS accounts_offset
FROM counted c
WHERE c.all_old AND (c.so_far <= $3 OR c.number = 1)
