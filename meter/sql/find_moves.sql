-- Grants and revocations of accounts, each account's in order.
-- $1 shard int, $2 accounts text[]
SELECT account_id, type, resource, amount, data::text AS data,
       coalesce(id, encode(substr(event_key, 1, 16), 'hex')::uuid::text, event_id::text) AS event_id
FROM meter.events
WHERE shard = $1 AND account_id = ANY ($2::text[]) AND type IN ({{credits.granted.v1}}, {{credits.revoked.v1}})
ORDER BY position
