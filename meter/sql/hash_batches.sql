-- The hash of each batch of a range, computed from what is stored (see meter/store/layout.py for the layout).
-- $1 shard int, $2 from batch bigint, $3 to batch bigint (both included)
SELECT b.batch,
       sha256(
           '\x01'::bytea || b.previous
           || record_send(ROW(
               b.shard, b.batch, b.first_position, b.last_position, b.usage_from, b.usage_to, b.accounts_from,
               b.accounts_to, b.stored, b.duplicates, b.rejected, b.gaps, b.recorded_at))
           || coalesce(e.records, ''::bytea)
       ) AS hash
FROM meter.batches b
CROSS JOIN LATERAL (
    SELECT string_agg(
        record_send(ROW(
            v.position, v.amount, v.kafka_offset, v.occurred_at, v.recorded_at, v.event_id, v.shard, v.type, v.resource,
            v.account_id, v.name, v.source, v.data::text, v.extensions::text)),
        ''::bytea ORDER BY v.position) AS records
    FROM meter.events v
    WHERE v.shard = b.shard AND v.position BETWEEN b.first_position AND b.last_position
) e
WHERE b.shard = $1 AND b.batch BETWEEN $2 AND $3
ORDER BY b.batch
