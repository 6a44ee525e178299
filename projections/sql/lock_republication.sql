-- Where the republication of a shard goes on; no row: it has come to its end.
-- $1 shard int
SELECT after FROM projections.republications WHERE shard = $1 AND finished_at IS NULL FOR UPDATE
