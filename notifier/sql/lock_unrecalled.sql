-- One process reads back; the others find nothing left to do.
-- $1 shard int
SELECT shard FROM notifier.generations WHERE recalled_at IS NULL AND shard = $1 FOR UPDATE
