-- The messages of a shard that wait to be published.
-- $1 shard int
SELECT count(*) FROM projections.outbox WHERE shard = $1
