-- The balances of accounts, to be folded further.
-- $1 accounts text[], $2 their shards int[]
SELECT account_id, resource, shard, granted::text, consumed::text, base::text, epoch, boundaries::text[], position, as_of,
       opened, closed, free_only
FROM projections.balance_states
WHERE account_id = ANY($1::text[]) AND shard = ANY($2::int[])
