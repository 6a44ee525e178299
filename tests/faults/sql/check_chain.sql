-- Batches of a shard that do not follow from the one before them, or whose hash is not that of what is stored
-- (rows in the form of a binary COPY, put together here by hand).
-- $1 shard int
WITH numbered AS (
    SELECT b.*,
           lag(b.hash, 1, decode(repeat('00', 32), 'hex')) OVER w AS hash_before,
           lag(b.batch, 1, 0::bigint) OVER w AS batch_before,
           lag(b.last_position, 1, 0::bigint) OVER w AS position_before,
           lag(b.usage_to, 1, 0::bigint) OVER w AS usage_before,
           lag(b.accounts_to, 1, 0::bigint) OVER w AS accounts_before
    FROM meter.batches b
    WHERE b.shard = $1
    WINDOW w AS (ORDER BY b.batch)
), witnessed AS (
    SELECT n.*, coalesce((
            SELECT sha256(string_agg(d.sent, ''::bytea ORDER BY d.topic COLLATE "C", d.kafka_offset))
            FROM (SELECT x.topic, x.kafka_offset,
                         CASE WHEN x.offsets IS NULL
                             THEN record_send(ROW(x.shard, x.topic, x.kafka_offset, x.event_id, x.recorded_at, x.id))
                             ELSE record_send(ROW(
                                 x.shard, x.topic, x.kafka_offset, x.event_id, x.recorded_at, x.id, x.offsets))
                         END AS sent
                  FROM meter.duplicates x
                  WHERE x.shard = n.shard
                    AND (x.topic = 'metering.usage' AND x.kafka_offset >= n.usage_from AND x.kafka_offset < n.usage_to
                         OR x.topic = 'metering.accounts' AND x.kafka_offset >= n.accounts_from
                            AND x.kafka_offset < n.accounts_to)) d), ''::bytea)
        || coalesce((
            SELECT sha256(string_agg(r.sent, ''::bytea ORDER BY r.topic COLLATE "C", r.kafka_offset))
            FROM (SELECT x.topic, x.kafka_offset,
                         CASE WHEN x.offsets IS NOT NULL
                             THEN record_send(ROW(
                                 x.rejection_id, x.shard, x.topic, x.kafka_offset, x.reason, x.detail, x.key, x.value,
                                 x.headers::text, x.kafka_timestamp, x.recorded_at, x.to_offset, x.original_bytes,
                                 x.original_sha256, x.offsets))
                             WHEN num_nonnulls(x.to_offset, x.original_bytes, x.original_sha256) = 0
                             THEN record_send(ROW(
                                 x.rejection_id, x.shard, x.topic, x.kafka_offset, x.reason, x.detail, x.key, x.value,
                                 x.headers::text, x.kafka_timestamp, x.recorded_at))
                             ELSE record_send(ROW(
                                 x.rejection_id, x.shard, x.topic, x.kafka_offset, x.reason, x.detail, x.key, x.value,
                                 x.headers::text, x.kafka_timestamp, x.recorded_at, x.to_offset, x.original_bytes,
                                 x.original_sha256))
                         END AS sent
                  FROM meter.rejections x
                  WHERE x.shard = n.shard
                    AND (x.topic = 'metering.usage' AND x.kafka_offset >= n.usage_from AND x.kafka_offset < n.usage_to
                         OR x.topic = 'metering.accounts' AND x.kafka_offset >= n.accounts_from
                            AND x.kafka_offset < n.accounts_to)) r), ''::bytea)
        || coalesce((
            SELECT sha256(string_agg(record_send(g.*), ''::bytea ORDER BY g.topic COLLATE "C", g.from_offset))
            FROM (SELECT x.shard, x.topic, x.from_offset, x.to_offset, x.recorded_at
                  FROM meter.gaps x
                  WHERE x.shard = n.shard
                    AND (x.topic = 'metering.usage' AND x.from_offset >= n.usage_from AND x.from_offset < n.usage_to
                         OR x.topic = 'metering.accounts' AND x.from_offset >= n.accounts_from
                            AND x.from_offset < n.accounts_to)) g), ''::bytea)
        || coalesce((
            SELECT sha256(string_agg(o.sent, ''::bytea ORDER BY o.topic COLLATE "C", o.kafka_offset))
            FROM (SELECT x.topic, x.kafka_offset,
                         CASE WHEN x.offsets IS NULL
                             THEN record_send(ROW(
                                 x.shard, x.topic, x.kafka_offset, x.partition, x.account_id, x.source, x.recorded_at))
                             ELSE record_send(ROW(
                                 x.shard, x.topic, x.kafka_offset, x.partition, x.account_id, x.source, x.recorded_at,
                                 x.offsets))
                         END AS sent
                  FROM meter.rerouted x
                  WHERE x.shard = n.shard
                    AND (x.topic = 'metering.usage' AND x.kafka_offset >= n.usage_from AND x.kafka_offset < n.usage_to
                         OR x.topic = 'metering.accounts' AND x.kafka_offset >= n.accounts_from
                            AND x.kafka_offset < n.accounts_to)) o), ''::bytea) 
        || coalesce((
            SELECT sha256(string_agg(record_send(w.*), ''::bytea ORDER BY w.topic COLLATE "C", w.kafka_offset))
            FROM (SELECT x.shard, x.topic, x.kafka_offset, x.account_id, x.event_id, x.reverses, x.usage_end, x.recorded_at
                  FROM meter.waiting x
                  WHERE x.shard = n.shard AND x.topic = 'metering.accounts' AND x.kafka_offset >= n.accounts_from
                    AND x.kafka_offset < n.accounts_to) w), ''::bytea) AS found
    FROM numbered n
), hashed AS (
    SELECT n.*, sha256(
        '\x04'::bytea || n.previous
        || record_send(ROW(n.shard, n.batch, n.first_position, n.last_position, n.usage_from, n.usage_to,
                           n.accounts_from, n.accounts_to, n.stored, n.duplicates, n.rejected, n.gaps, n.recorded_at,
                           n.found, n.generation, n.rerouted, n.waiting))
        || coalesce((
            SELECT string_agg(
                '\x001000000008'::bytea || int8send(e.position) || '\x00000008' || int8send(e.amount)
                || '\x00000008' || int8send(e.kafka_offset) || '\x00000008' || timestamptz_send(e.occurred_at)
                || '\x00000008' || timestamptz_send(e.recorded_at) || '\xffffffff'
                || '\x00000004' || int4send(e.shard) || '\x00000002' || int2send(e.type)
                || coalesce('\x00000002' || int2send(e.resource), '\xffffffff')
                || int4send(octet_length(e.account_id)) || textsend(e.account_id)
                || int4send(octet_length(e.name)) || textsend(e.name)
                || int4send(octet_length(e.source)) || textsend(e.source)
                || int4send(octet_length(e.data::text)) || textsend(e.data::text)
                || coalesce(int4send(octet_length(e.extensions::text)) || textsend(e.extensions::text), '\xffffffff')
                || coalesce(int4send(octet_length(e.id)) || textsend(e.id), '\xffffffff') || int4send(octet_length(e.event_key)) || e.event_key,
                ''::bytea ORDER BY e.position)
            FROM meter.events e
            WHERE e.shard = n.shard AND e.position BETWEEN n.first_position AND n.last_position), ''::bytea)
    ) AS computed
    FROM witnessed n
)
SELECT batch,
       concat_ws(', ',
           CASE WHEN hash <> computed THEN 'the hash is another' END,
           CASE WHEN previous <> hash_before THEN 'it follows another batch' END,
           CASE WHEN batch <> batch_before + 1 THEN 'the number does not follow' END,
           CASE WHEN first_position <> position_before + 1 THEN 'the positions do not follow' END,
           CASE WHEN usage_from <> usage_before OR accounts_from <> accounts_before
                THEN 'the offsets do not follow' END) AS fault
FROM hashed
WHERE hash <> computed OR previous <> hash_before OR batch <> batch_before + 1
   OR first_position <> position_before + 1 OR usage_from <> usage_before OR accounts_from <> accounts_before
ORDER BY batch
