-- Events of a range of positions as they were before some were sealed, for a binary COPY like copy_events.sql.
-- $1 shard int, $2 from position bigint, $3 to position bigint (both included), $4 positions bigint[], $5 their data text[]
SELECT e.position, e.amount, e.kafka_offset, e.occurred_at, e.recorded_at, e.event_id, e.shard, e.type, e.resource,
       e.account_id, e.name, e.source, coalesce(f.data::json, e.data) AS data, e.extensions, e.id, e.event_key
FROM meter.events e
LEFT JOIN unnest($4::bigint[], $5::text[]) AS f (position, data) ON f.position = e.position
WHERE e.shard = $1 AND e.position BETWEEN $2 AND $3
ORDER BY e.position
