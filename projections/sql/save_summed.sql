-- How far the months of a shard are summed up.
-- $1 shard int, $2 summed date, $3 target date, $4 upto account text, $5 position bigint
INSERT INTO projections.usage_summed AS p (shard, summed, target, upto, position)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (shard) DO UPDATE
SET summed = excluded.summed, target = excluded.target, upto = excluded.upto, position = excluded.position
