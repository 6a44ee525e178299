-- A valid batch of random usage, made in the database: rows, and the batch row that chains them.
-- $1 int: shard, $2 int: rows, $3 text[]: the shard's accounts, the most used first
-- $4 timestamptz: time of the first event, $5 interval: time between two events
WITH head AS (
    SELECT * FROM meter.shards WHERE shard = $1 FOR UPDATE
), drawn AS (
    SELECT i, $4::timestamptz + i * $5::interval AS moment,
           random() AS kind, random() AS pick, least(exp(random() * ln(cardinality($3::text[]) + 1))::int,
                                                     cardinality($3::text[])) AS rank
    FROM generate_series(0, $2::int - 1) AS i
), shaped AS (
    SELECT i, moment, $3[rank] AS account_id, 'item-' || (pick * 16)::int AS name,
           CASE WHEN kind < 0.45 THEN 1 WHEN kind < 0.75 THEN 4 WHEN kind < 0.90 THEN 2 ELSE 3 END AS type,
           CASE WHEN kind BETWEEN 0.45 AND 0.75 THEN 1000000 ELSE 200 + (pick * pick * 18000)::bigint END AS amount
    FROM drawn
), rows AS (
    SELECT head.next_position + i AS position, amount, head.usage_offset + i AS kafka_offset, moment AS occurred_at,
           $4::timestamptz + $2 * $5::interval AS recorded_at,
           encode(overlay(set_byte(uuid_send(gen_random_uuid()), 6, 112 + (random() * 15)::int) PLACING
                  substring(int8send((extract(epoch FROM moment) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 'hex')::uuid
               AS id,
           $1::int AS shard, type::smallint AS type, (CASE type WHEN 4 THEN 2 ELSE 1 END)::smallint AS resource,
           account_id, name, 'https://agents.example.com/production/eu-west-1/support-assistant-' || i % 64 AS source,
           CASE type
               WHEN 1 THEN format('{"credits":"0.%s","model":"%s","deployment":"eu-west-1","input_tokens":%s}',
                                  lpad(amount::text, 6, '0'), name, amount)
               WHEN 2 THEN format('{"credits":"0.%s","guardrail":"%s"}', lpad(amount::text, 6, '0'), name)
               WHEN 3 THEN format('{"credits":"0.%s","script":"%s"}', lpad(amount::text, 6, '0'), name)
               ELSE format('{"tool":"%s","runs":1,"status":"ok"}', name)
           END AS data,
           NULL::text AS extensions
    FROM shaped, head
), stored AS (
    INSERT INTO meter.events (position, amount, kafka_offset, occurred_at, recorded_at, shard, type, resource,
                              account_id, name, source, data, extensions, id, event_key)
    SELECT position, amount, kafka_offset, occurred_at, recorded_at, shard, type, resource,
           account_id, name, source, data::json, extensions::json, NULL,
           uuid_send(id) || substring(sha256(convert_to(account_id || source, 'UTF8')) FOR 16)
    FROM rows
    RETURNING position, amount, kafka_offset, occurred_at, recorded_at, shard, type, resource,
              account_id, name, source, data::text AS data, extensions::text AS extensions, id, event_key
), header AS (
    SELECT shard, next_batch AS batch, next_position AS first_position, next_position + $2 - 1 AS last_position,
           usage_offset AS usage_from, usage_offset + $2 AS usage_to,
           accounts_offset AS accounts_from, accounts_offset AS accounts_to,
           $2::int AS stored, 0 AS duplicates, 0 AS rejected, 0::bigint AS gaps,
           $4::timestamptz + $2 * $5::interval AS recorded_at, ''::bytea AS evidence, 1 AS generation, 0 AS rerouted, 0 AS waiting
    FROM head
)
INSERT INTO meter.batches (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from, accounts_to,
                           stored, duplicates, rejected, gaps, recorded_at, evidence, generation, rerouted, waiting, chain_version,
                           previous, hash)
SELECT header.*, 4, head.head,
       sha256('\x04'::bytea || head.head || record_send(header.*)
              || (SELECT string_agg(
                      '\x001000000008'::bytea || int8send(s.position) || '\x00000008' || int8send(s.amount)
                      || '\x00000008' || int8send(s.kafka_offset) || '\x00000008' || timestamptz_send(s.occurred_at)
                      || '\x00000008' || timestamptz_send(s.recorded_at) || '\xffffffff'
                      || '\x00000004' || int4send(s.shard) || '\x00000002' || int2send(s.type)
                      || coalesce('\x00000002' || int2send(s.resource), '\xffffffff')
                      || int4send(octet_length(s.account_id)) || textsend(s.account_id)
                      || int4send(octet_length(s.name)) || textsend(s.name)
                      || int4send(octet_length(s.source)) || textsend(s.source)
                      || int4send(octet_length(s.data)) || textsend(s.data)
                      || coalesce(int4send(octet_length(s.extensions)) || textsend(s.extensions), '\xffffffff')
                      || '\xffffffff' || '\x00000020' || s.event_key,
                      ''::bytea ORDER BY s.position)
                  FROM stored s))
FROM header, head
