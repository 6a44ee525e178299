-- Each batch of a range: what it says of itself, how many rows and Kafka offsets are there for it, and what its hash covers
-- beside its events: `head` comes before them, `evidence` after (meter/store/README.md). No batch has as many rows as one
-- is searched for here: the limit keeps a forged range from reading the whole log. OFFSET 0 has each table searched by the
-- range: without statistics the planner takes it for small, and would read all of a shard's rows once per batch.
-- $1 shard int, $2 from batch bigint, $3 to batch bigint (both included)
SELECT CASE b.chain_version
           WHEN 2 THEN '\x02'::bytea || b.previous || record_send(ROW(
               b.shard, b.batch, b.first_position, b.last_position, b.usage_from, b.usage_to, b.accounts_from,
               b.accounts_to, b.stored, b.duplicates, b.rejected, b.gaps, b.recorded_at))
           WHEN 3 THEN '\x03'::bytea || b.previous || record_send(ROW(
               b.shard, b.batch, b.first_position, b.last_position, b.usage_from, b.usage_to, b.accounts_from,
               b.accounts_to, b.stored, b.duplicates, b.rejected, b.gaps, b.recorded_at,
               b.evidence, b.generation, b.rerouted))
           WHEN 4 THEN '\x04'::bytea || b.previous || record_send(ROW(
               b.shard, b.batch, b.first_position, b.last_position, b.usage_from, b.usage_to, b.accounts_from,
               b.accounts_to, b.stored, b.duplicates, b.rejected, b.gaps, b.recorded_at,
               b.evidence, b.generation, b.rerouted, b.waiting))
           ELSE ''::bytea
       END AS head,
       CASE b.chain_version WHEN 2 THEN found.evidence ELSE ''::bytea END AS evidence, b.chain_version,
       b.batch, b.hash AS sealed_hash, b.previous, b.first_position, b.last_position, b.usage_from, b.usage_to,
       b.accounts_from, b.accounts_to, b.stored, b.duplicates, b.rejected, b.gaps, b.rerouted, b.waiting,
       e.rows AS event_rows, d.rows AS duplicate_rows, r.rows AS rejection_rows,
       coalesce(r.offsets, 0)::bigint AS rejection_offsets, coalesce(g.offsets, 0) AS gap_offsets,
       o.rows AS rerouted_rows, w.rows AS waiting_rows, e.sources AS event_offsets,
       CASE
           -- What is kept of a batch without its rows: the digests of its gaps, its waiting and the generation it begins.
           WHEN p.shard IS NOT NULL THEN
               substr(b.evidence, 1 + 32 * ((b.duplicates > 0)::int + (b.rejected > 0)::int), 32 * (b.gaps > 0)::int)
                   = coalesce(g.digest, ''::bytea)
               AND substr(b.evidence, 1 + 32 * ((b.duplicates > 0)::int + (b.rejected > 0)::int + (b.gaps > 0)::int
                                                + (b.rerouted > 0)::int))
                   = coalesce(w.digest, ''::bytea) || coalesce(n.digest, ''::bytea) || coalesce(m.digest, ''::bytea)
           ELSE CASE b.chain_version
           WHEN 2 THEN b.evidence IS NULL AND b.generation = 1 AND b.rerouted = 0 AND b.waiting = 0 AND e.keyed = 0
           WHEN 3 THEN b.evidence IS NOT DISTINCT FROM found.evidence AND b.waiting = 0
           ELSE b.evidence IS NOT DISTINCT FROM found.evidence
           END
       END AS evidence_whole,
       coalesce(e.sum, 0) + coalesce(d.sum, 0) + coalesce(r.sum, 0) + coalesce(g.sum, 0)
       + coalesce(o.sum, 0) + coalesce(w.sum, 0) AS offset_sum,
       b.generation, n.generation AS begins, p.shard IS NOT NULL AS pruned, m.upto AS moved
FROM meter.batches b
LEFT JOIN meter.pruned p ON p.shard = b.shard /*citus AND p.shard = $1 */ AND b.batch <= p.batch AND b.chain_version > 2
CROSS JOIN LATERAL (
    -- The free grants stored with an account.opened stand at the offset of its record: the meter's own source, in events
    -- without a key ids of version 8.
    SELECT count(*) AS rows, count(*) FILTER (WHERE v.event_key IS NOT NULL OR v.id IS NOT NULL) AS keyed,
           count(*) FILTER (WHERE NOT x.derived) AS sources, sum(v.kafka_offset) FILTER (WHERE NOT x.derived) AS sum
    FROM (
        -- Accounts that moved have taken their events with them.
        SELECT b.shard
        /*citus -- */ UNION ALL SELECT m.shard FROM meter.moved m WHERE m.origin = b.shard AND m.upto >= b.last_position
    ) h
    JOIN meter.events v
        ON v.shard = h.shard /*citus AND v.shard = $1 */ AND v.position BETWEEN b.first_position AND least(b.last_position, b.first_position + 199999)
    CROSS JOIN LATERAL (
        SELECT CASE b.chain_version
                   WHEN 2 THEN v.type = {{credits.granted.v1}} AND substr(v.event_id::text, 15, 1) = '8'
                   ELSE v.source = '/credit-meter/meter'
               END AS derived
    ) x
) e
CROSS JOIN LATERAL (
    -- Where a row stands for many records, its offsets say for which.
    SELECT coalesce(sum(x.records), 0)::bigint AS rows, sum(x.sum) AS sum,
           sha256(string_agg(
               CASE WHEN b.chain_version = 2 AND v.id IS NULL
                   THEN record_send(ROW(v.shard, v.topic, v.kafka_offset, v.event_id, v.recorded_at))
                   WHEN v.offsets IS NOT NULL
                   THEN record_send(ROW(v.shard, v.topic, v.kafka_offset, v.event_id, v.recorded_at, v.id, v.offsets))
                   ELSE record_send(ROW(v.shard, v.topic, v.kafka_offset, v.event_id, v.recorded_at, v.id))
               END,
               ''::bytea ORDER BY v.topic COLLATE "C", v.kafka_offset)) AS digest
    FROM (VALUES ('metering.usage', b.usage_from, b.usage_to), ('metering.accounts', b.accounts_from, b.accounts_to))
        AS t (topic, begin, beyond)
    CROSS JOIN LATERAL (
        SELECT * FROM meter.duplicates o
        WHERE o.shard = b.shard /*citus AND o.shard = $1 */ AND o.topic = t.topic AND o.kafka_offset >= t.begin AND o.kafka_offset < t.beyond
        OFFSET 0
    ) v
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(upper(o) - lower(o)), 1) AS records,
               coalesce(sum((lower(o)::numeric + upper(o) - 1) * (upper(o) - lower(o)) / 2), v.kafka_offset) AS sum
        FROM unnest(v.offsets) o
    ) x
) d
CROSS JOIN LATERAL (
    -- A rejection covers its offset, or all up to to_offset, or those of its packed records. Where bytes of somebody who was
    -- forgotten were taken out of one, the batch's own digest stands for them all; where nobody
    -- ever was forgotten none does.
    SELECT count(*) AS rows, sum(x.records) AS offsets, sum(x.sum) AS sum,
           CASE WHEN bool_or(v.forgotten)
               THEN CASE WHEN EXISTS (SELECT FROM meter.keys k WHERE k.forgotten_at IS NOT NULL /*citus AND k.shard = $1 */)
                   THEN substr(b.evidence, 1 + 32 * (b.duplicates > 0)::int, 32) END
               ELSE sha256(string_agg(
               CASE WHEN v.offsets IS NOT NULL
                   THEN record_send(ROW(
                       v.rejection_id, v.shard, v.topic, v.kafka_offset, v.reason, v.detail, v.key, v.value,
                       v.headers::text, v.kafka_timestamp, v.recorded_at, v.to_offset, v.original_bytes,
                       v.original_sha256, v.offsets))
                   WHEN v.to_offset IS NULL AND v.original_bytes IS NULL AND v.original_sha256 IS NULL
                   THEN record_send(ROW(
                       v.rejection_id, v.shard, v.topic, v.kafka_offset, v.reason, v.detail, v.key, v.value,
                       v.headers::text, v.kafka_timestamp, v.recorded_at))
                   ELSE record_send(ROW(
                       v.rejection_id, v.shard, v.topic, v.kafka_offset, v.reason, v.detail, v.key, v.value,
                       v.headers::text, v.kafka_timestamp, v.recorded_at, v.to_offset, v.original_bytes,
                       v.original_sha256))
               END,
               ''::bytea ORDER BY v.topic COLLATE "C", v.kafka_offset)) END AS digest
    FROM (VALUES ('metering.usage', b.usage_from, b.usage_to), ('metering.accounts', b.accounts_from, b.accounts_to))
        AS t (topic, begin, beyond)
    CROSS JOIN LATERAL (
        SELECT * FROM meter.rejections o
        WHERE o.shard = b.shard /*citus AND o.shard = $1 */ AND o.topic = t.topic AND o.kafka_offset >= t.begin AND o.kafka_offset < t.beyond
        OFFSET 0
    ) v
    CROSS JOIN LATERAL (SELECT coalesce(v.to_offset, v.kafka_offset + 1) AS beyond) y
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(upper(o) - lower(o)), y.beyond - v.kafka_offset) AS records,
               coalesce(sum((lower(o)::numeric + upper(o) - 1) * (upper(o) - lower(o)) / 2),
                        (v.kafka_offset::numeric + y.beyond - 1) * (y.beyond - v.kafka_offset) / 2) AS sum
        FROM unnest(v.offsets) o
    ) x
) r
CROSS JOIN LATERAL (
    SELECT sum(v.to_offset - v.from_offset) AS offsets,
           sum((v.from_offset::numeric + v.to_offset - 1) * (v.to_offset - v.from_offset) / 2) AS sum,
           sha256(string_agg(
               record_send(ROW(v.shard, v.topic, v.from_offset, v.to_offset, v.recorded_at)),
               ''::bytea ORDER BY v.topic COLLATE "C", v.from_offset)) AS digest
    FROM (VALUES ('metering.usage', b.usage_from, b.usage_to), ('metering.accounts', b.accounts_from, b.accounts_to))
        AS t (topic, begin, beyond)
    CROSS JOIN LATERAL (
        SELECT * FROM meter.gaps o
        WHERE o.shard = b.shard /*citus AND o.shard = $1 */ AND o.topic = t.topic AND o.from_offset >= t.begin AND o.from_offset < t.beyond
        OFFSET 0
    ) v
) g
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.records), 0)::bigint AS rows, sum(x.sum) AS sum,
           sha256(string_agg(
               CASE WHEN v.offsets IS NULL
                   THEN record_send(ROW(
                       v.shard, v.topic, v.kafka_offset, v.partition, v.account_id, v.source, v.recorded_at))
                   ELSE record_send(ROW(
                       v.shard, v.topic, v.kafka_offset, v.partition, v.account_id, v.source, v.recorded_at, v.offsets))
               END,
               ''::bytea ORDER BY v.topic COLLATE "C", v.kafka_offset)) AS digest
    FROM (VALUES ('metering.usage', b.usage_from, b.usage_to), ('metering.accounts', b.accounts_from, b.accounts_to))
        AS t (topic, begin, beyond)
    CROSS JOIN LATERAL (
        SELECT * FROM meter.rerouted o
        WHERE o.shard = b.shard /*citus AND o.shard = $1 */ AND o.topic = t.topic AND o.kafka_offset >= t.begin AND o.kafka_offset < t.beyond
        OFFSET 0
    ) v
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(upper(o) - lower(o)), 1) AS records,
               coalesce(sum((lower(o)::numeric + upper(o) - 1) * (upper(o) - lower(o)) / 2), v.kafka_offset) AS sum
        FROM unnest(v.offsets) o
    ) x
) o
CROSS JOIN LATERAL (
    SELECT count(*) AS rows, sum(v.kafka_offset) AS sum,
           sha256(string_agg(
               record_send(ROW(
                   v.shard, v.topic, v.kafka_offset, v.account_id, v.event_id, v.reverses, v.usage_end, v.recorded_at)),
               ''::bytea ORDER BY v.topic COLLATE "C", v.kafka_offset)) AS digest
    FROM (VALUES ('metering.usage', b.usage_from, b.usage_to), ('metering.accounts', b.accounts_from, b.accounts_to))
        AS t (topic, begin, beyond)
    CROSS JOIN LATERAL (
        SELECT * FROM meter.waiting o
        WHERE o.shard = b.shard /*citus AND o.shard = $1 */ AND o.topic = t.topic AND o.kafka_offset >= t.begin AND o.kafka_offset < t.beyond
        OFFSET 0
    ) v
) w
CROSS JOIN LATERAL (
    SELECT min(v.generation) AS generation,
           sha256(string_agg(
               CASE WHEN v.sealed_from IS NULL
                   THEN record_send(ROW(
                       v.shard, v.generation, v.batch, v.from_position, v.usage_offset, v.accounts_offset, v.head,
                       v.usage_known, v.accounts_known, v.position_known, v.begun_at, v.begun_by, v.reason))
                   ELSE record_send(ROW(
                       v.shard, v.generation, v.batch, v.from_position, v.usage_offset, v.accounts_offset, v.head,
                       v.usage_known, v.accounts_known, v.position_known, v.begun_at, v.begun_by, v.reason, v.sealed_from))
               END,
               ''::bytea ORDER BY v.generation)) AS digest
    FROM meter.generations v
    WHERE v.shard = b.shard /*citus AND v.shard = $1 */ AND v.batch = b.batch
) n
CROSS JOIN LATERAL (
    -- Where a shard begins with accounts of another, the nearest is the one that it goes on behind.
    SELECT max(v.upto) AS upto,
           sha256(string_agg(record_send(ROW(v.shard, v.origin, v.upto, v.batch)), ''::bytea ORDER BY v.origin)) AS digest
    FROM meter.moved v
    WHERE v.shard = b.shard /*citus AND v.shard = $1 */ AND v.batch = b.batch
) m
CROSS JOIN LATERAL (
    SELECT coalesce(d.digest, ''::bytea) || coalesce(r.digest, ''::bytea) || coalesce(g.digest, ''::bytea)
           || coalesce(o.digest, ''::bytea) || coalesce(w.digest, ''::bytea)
           || coalesce(n.digest, ''::bytea) || coalesce(m.digest, ''::bytea) AS evidence
) found
WHERE b.shard = $1 AND b.batch BETWEEN $2 AND $3
ORDER BY b.batch
