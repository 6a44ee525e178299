-- Leave what is not folded yet of the usage of what is stored out of the read models, for good.
WITH skipped AS (
    UPDATE projections.cursors u
    SET position = b.position
    FROM projections.cursors b
    WHERE u.projection = 'usage' AND b.projection = 'balance' AND b.shard = u.shard
    RETURNING u.shard, u.position
), days AS (
    UPDATE projections.usage_days_summed d SET position = s.position FROM skipped s WHERE d.shard = s.shard
)
UPDATE projections.usage_summed m SET position = s.position FROM skipped s WHERE m.shard = s.shard
