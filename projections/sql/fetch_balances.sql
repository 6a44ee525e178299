-- The balances of accounts, to be folded further.
-- $1 accounts text[]
SELECT account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of, opened,
       closed, free_only
FROM projections.balance_states
WHERE account_id = ANY($1::text[])
