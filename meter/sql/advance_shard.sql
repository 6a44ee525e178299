-- Move a shard's offsets on, if they are still the expected ones: the fence against writers that lost the shard.
-- No row: another writer has the shard, or its lock. A lock is not waited for, so the other shards of a transaction are
-- not held up, and transactions over several shards cannot block each other.
-- $1 shard int, $2 expected usage_offset bigint, $3 expected accounts_offset bigint,
-- $4 following usage_offset bigint, $5 following accounts_offset bigint
UPDATE meter.shards s
SET usage_offset = $4, accounts_offset = $5
WHERE shard = (SELECT shard FROM meter.shards WHERE shard = $1 FOR UPDATE SKIP LOCKED)
  AND usage_offset = $2 AND accounts_offset = $3 /*citus AND shard = $1 */
RETURNING next_position, next_batch, head,
          -- Whether the shard has events from before they had a key: its first batch tells, or that of a shard from which
          -- accounts moved here. Each is asked for by its key: as a join or an OR, all batches of the log may be read for it.
          coalesce((SELECT b.chain_version FROM meter.batches b
                    WHERE b.shard = s.shard /*citus AND b.shard = $1 */ AND b.batch = 1) = 2, false)
          OR EXISTS (SELECT FROM meter.moved m
                     WHERE m.shard = s.shard
                       /*citus AND m.shard = $1 -- its origin may lie on another node, and is taken to have some */
                       /*citus -- */ AND (SELECT b.chain_version FROM meter.batches b WHERE b.shard = m.origin AND b.batch = 1) = 2
                    ) AS has_old,
          generation
