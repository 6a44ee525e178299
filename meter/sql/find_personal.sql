-- Events of the types that may hold addresses, names and owners of items, behind a position.
-- $1 shard int, $2 after position bigint, $3 most rows bigint
SELECT position, type, account_id, data
FROM meter.events
WHERE shard = $1 AND type > {{last_usage}} AND type IN ({{personal}}) AND position > $2
ORDER BY position
LIMIT $3
