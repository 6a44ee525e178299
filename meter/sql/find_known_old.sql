-- Which of these ids the shard has from before events had a key, with all that makes their identity.
-- $1 shard int, $2 event ids text (a uuid array literal)
SELECT account_id, source, event_id::text AS event_id, type, resource, amount, name, data::text AS data, position, recorded_at
FROM meter.events
WHERE shard = $1 AND event_key IS NULL AND event_id = ANY ((SELECT $2::text::uuid[])::uuid[])
