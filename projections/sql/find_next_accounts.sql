-- The next accounts of a shard, in the order of their ids, of those that were opened.
-- $1 shard int, $2 after text, $3 most bigint
SELECT account_id FROM projections.account_states
WHERE shard = $1 AND account_id > $2 AND opened_at IS NOT NULL
ORDER BY account_id
LIMIT $3
