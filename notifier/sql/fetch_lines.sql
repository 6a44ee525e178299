-- The epoch and the line that the balances of accounts are at, and whether nothing is left.
-- $1 account_ids text[], $2 their shards int[]
SELECT account_id, resource, epoch, line, consumed >= allocation AS exhausted
FROM notifier.balances
WHERE account_id = ANY($1) AND shard = ANY ($2)
