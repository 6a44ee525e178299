-- How far the days of a shard are added up.
-- $1 shard int, $2 summed date, $3 target date, $4 upto account text, $5 position bigint
INSERT INTO projections.usage_days_summed AS p (shard, summed, target, upto, position)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (shard) DO UPDATE
SET summed = excluded.summed, target = excluded.target, upto = excluded.upto, position = excluded.position
