-- The last balances seen of accounts.
-- $1 account_ids text[], $2 their shards int[] or null (any)
SELECT account_id, resource, epoch, allocation, consumed, shard, position, line, as_of, free_only, generation
FROM notifier.balances
WHERE account_id = ANY($1) AND ($2::int[] IS NULL OR shard = ANY ($2))
