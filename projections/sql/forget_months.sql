-- The months of a shard whose days are added up anew: they are summed up anew as well.
-- $1 shard int
DELETE FROM projections.usage_summed WHERE shard = $1
