-- Say up to which batch a shard's evidence is removed, before it is: the triggers then let it go, and two at once wait for each
-- other; when, is the database's to say. Returns the offsets from which there is evidence to remove; no row where another has done it meanwhile.
-- $1 shard int, $2 batch bigint, $3 usage_offset bigint, $4 accounts_offset bigint, $5 pruned_by text
WITH covered AS (
    -- Each by its index: asked for together, all batches are read, and there is often none.
    SELECT coalesce((SELECT max(b.usage_to) FROM meter.batches b WHERE b.shard = $1 AND b.chain_version < 3), 0) AS usage_from,
           coalesce((SELECT max(b.accounts_to) FROM meter.batches b WHERE b.shard = $1 AND b.chain_version < 3), 0)
               AS accounts_from
), moved AS (
    INSERT INTO meter.pruned AS p (shard, batch, usage_offset, accounts_offset, pruned_by)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (shard) DO UPDATE
    SET batch = excluded.batch, usage_offset = excluded.usage_offset, accounts_offset = excluded.accounts_offset,
        pruned_by = excluded.pruned_by
    WHERE p.batch < excluded.batch
    RETURNING p.shard
)
SELECT c.usage_from, c.accounts_from FROM covered c CROSS JOIN moved m
