-- The banners that accounts see now.
-- $1 account_ids text[], $2 their shards int[] or null (any)
SELECT account_id, resource, threshold, kind, removable, text, epoch, shard, position, raised_at, generation
FROM notifier.banners
WHERE account_id = ANY($1) AND ($2::int[] IS NULL OR shard = ANY ($2))
