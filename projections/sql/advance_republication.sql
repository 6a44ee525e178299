-- The next accounts of a shard are in the outbox; without any, the shard is done.
-- $1 shard int, $2 after text or null, $3 accounts bigint
UPDATE projections.republications
SET after = coalesce($2, after), accounts = accounts + $3, finished_at = (SELECT now() WHERE $2 IS NULL)
WHERE shard = $1
