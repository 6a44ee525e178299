-- The events of one account within a range of positions, in order. Data of grants, revocations and reversals alone:
-- contacts stay where they are.
-- $1 shard int, $2 after bigint, $3 upto bigint, $4 account text, $5 resource smallint or null
SELECT position, coalesce(id, encode(substr(event_key, 1, 16), 'hex')::uuid::text, event_id::text) AS event_id, type, resource, amount, name,
       CASE WHEN type IN ({{credits.granted.v1}}, {{credits.revoked.v1}}, {{usage.reversed.v1}}) THEN data::text END AS data, recorded_at,
       source = {{own_source}} AS derived
FROM meter.events
WHERE shard = $1 AND position > $2 AND position <= $3 AND account_id = $4
  AND type <> {{item.changed.v1}} AND ($5::smallint IS NULL OR resource IS NULL OR resource = $5)
ORDER BY position
