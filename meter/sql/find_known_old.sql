-- Which of these ids the shard has from before events had a key, with all that makes their identity.
-- $1 shard int, $2 event ids text (a uuid array literal)
SELECT e.account_id, e.source, e.event_id::text AS event_id, e.type, e.resource, e.amount, e.name, e.data::text AS data, e.position,
       e.recorded_at, CASE WHEN k.shard IS NOT NULL THEN coalesce(k.key, ''::bytea) END AS key
FROM meter.events e
LEFT JOIN meter.keys k ON e.type IN ({{personal}}) AND k.shard = e.shard AND k.account_id = e.account_id
WHERE e.shard = $1 AND e.event_key IS NULL AND e.event_id = ANY ((SELECT $2::text::uuid[])::uuid[])
