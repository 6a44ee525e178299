package main

import _ "embed"

// The tables have the columns, constraints and indexes of the project's own, taken from the catalogue.
//
//go:embed setup.sql
var setupSQL string

const (
	advanceSQL = `UPDATE peer.shards SET usage_offset = $3 WHERE shard = $1 AND usage_offset = $2
RETURNING next_position, next_batch, head`

	// Planned while the table is empty, a look-up of all keys at once may go along (shard, position), and read the whole shard from
	// then on: three of six runs took three times as long. One key at a time has one index to go along.
	knownSQL = `SELECT e.event_key, e.type, e.resource, e.amount, e.name FROM unnest($2::bytea[]) AS k (event_key)
CROSS JOIN LATERAL (
    SELECT * FROM peer.events l WHERE l.shard = $1 AND l.event_key IS NOT NULL AND l.event_key = k.event_key OFFSET 0
) AS e`

	copySQL = `COPY peer.events (position, amount, kafka_offset, occurred_at, recorded_at, event_id, shard, type, resource,
account_id, name, source, data, extensions, id, event_key) FROM STDIN (FORMAT binary)`

	duplicatesSQL = `INSERT INTO peer.duplicates (shard, topic, kafka_offset, recorded_at, id)
SELECT $1, $2, d.kafka_offset, $3, d.id FROM unnest($4::bigint[], $5::text[]) AS d (kafka_offset, id)`

	rejectionsSQL = `INSERT INTO peer.rejections (shard, topic, kafka_offset, reason, detail, key, value, recorded_at)
SELECT $1, $2, r.kafka_offset, r.reason, r.detail, r.key, r.value, $3
FROM unnest($4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::bytea[]) AS r (kafka_offset, reason, detail, key, value)`

	sealSQL = `WITH sealed AS (
    INSERT INTO peer.batches (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from, accounts_to,
        stored, duplicates, rejected, gaps, recorded_at, previous, hash, chain_version, evidence, waiting)
    VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $9, $10, $11, $12, $13, 1, $14, 0)
)
UPDATE peer.shards SET next_position = $4 + 1, next_batch = $2 + 1, head = $13 WHERE shard = $1`

	balancesSQL = `UPDATE peer.balances b
SET consumed = b.consumed + u.amount, position = u.position, as_of = $2
FROM unnest($3::text[], $4::smallint[], $5::bigint[], $6::bigint[]) AS u (account_id, resource, amount, position)
WHERE b.shard = $1 AND b.account_id = u.account_id AND b.resource = u.resource
RETURNING b.account_id, b.resource, b.epoch, (b.granted - b.base)::bigint, (b.consumed - b.base)::bigint, u.amount, u.position`

	usageSQL = `INSERT INTO peer.usage AS t (shard, account_id, day, resource, kind, item, deployment, category, status,
    events, amount, tokens_in, tokens_out, seconds, last_used)
SELECT $1, u.account_id, u.day, u.resource, u.kind, u.item, u.deployment, u.category, u.status,
    u.events, u.amount, u.tokens_in, u.tokens_out, 0, u.last_used
FROM unnest($2::text[], $3::date[], $4::smallint[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::timestamptz[])
    AS u (account_id, day, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, last_used)
ON CONFLICT (shard, account_id, day, resource, kind, item, deployment, category, status) DO UPDATE
SET events = t.events + excluded.events, amount = t.amount + excluded.amount, tokens_in = t.tokens_in + excluded.tokens_in,
    tokens_out = t.tokens_out + excluded.tokens_out, last_used = greatest(t.last_used, excluded.last_used)`

	noticesSQL = `INSERT INTO peer.notices (notice_id, account_id, resource, epoch, channel, threshold, outcome, allocation,
    consumed, shard, position, created_at)
SELECT gen_random_uuid(), n.account_id, n.resource, n.epoch, n.channel, n.threshold,
    CASE WHEN n.highest THEN 'delivered' ELSE 'superseded' END, n.allocation, n.consumed, $1, n.position, $2
FROM unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::smallint[], $8::bool[], $9::bigint[], $10::bigint[], $11::bigint[])
    AS n (account_id, resource, epoch, channel, threshold, highest, allocation, consumed, position)
ON CONFLICT (account_id, resource, epoch, channel, threshold) DO NOTHING`
)
