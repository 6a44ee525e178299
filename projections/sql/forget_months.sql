-- Forget the months of a shard whose days are added up anew: so are they.
-- $1 shard int
DELETE FROM projections.usage_summed WHERE shard = $1
