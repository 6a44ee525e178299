-- The lines that accounts have crossed in the current epoch of each balance.
-- $1 account_ids text[], $2 their shards int[] or null (any)
SELECT n.account_id, n.resource, n.channel, n.threshold
FROM notifier.balances b
-- LATERAL with OFFSET 0 keeps to the index: else the plan goes through all notices, while the table is small.
CROSS JOIN LATERAL (
    SELECT * FROM notifier.notices l
    WHERE l.account_id = b.account_id AND l.resource = b.resource AND l.epoch = b.epoch /*citus AND ($2::int[] IS NULL OR l.shard = ANY ($2)) */ OFFSET 0
) AS n
WHERE b.account_id = ANY($1) AND ($2::int[] IS NULL OR b.shard = ANY ($2))
