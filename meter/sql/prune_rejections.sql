-- Remove old rejections of a shard; a trigger adds their number to the counts of their months. Returns how many rows and records.
-- $1 shard int, $2 topic text, $3 from offset bigint, $4 up to offset bigint (not included)
SELECT p.rows, p.records FROM meter.prune_rejections($1, $2, $3, $4) p
