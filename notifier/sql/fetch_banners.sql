-- The banners that accounts see now.
-- $1 account_ids text[]
SELECT account_id, resource, threshold, kind, removable, text, epoch, shard, position, raised_at, generation
FROM notifier.banners
WHERE account_id = ANY($1)
