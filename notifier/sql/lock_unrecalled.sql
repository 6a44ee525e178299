-- One process reads back; the others find nothing left to do.
SELECT shard FROM notifier.generations WHERE recalled_at IS NULL FOR UPDATE
