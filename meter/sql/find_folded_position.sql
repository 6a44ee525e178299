-- How far the balances of a shard have come.
-- $1 shard int
SELECT position FROM projections.cursors WHERE projection = 'balance' AND shard = $1
