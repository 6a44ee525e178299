-- Small batches of usage of several shards: fence, known events, events and seal as one statement. Either all of them are
-- stored, or nothing is written and no row returned: where another writer has one of the shards or its lock, where a log
-- does not stand as the writer takes it to, and where one of the events is known.
-- All of it reads one snapshot, older than the locks: that the offsets and the head are the expected ones in it says that
-- it has every event of the shard. What is stored later than that the unique index refuses.
-- Up to $20 they are the batches, as for seal_batches, and from $21 on the columns of their events.
-- $1 shard int[], $2 batch bigint[], $3 first_position bigint[], $4 last_position bigint[], $5 usage_from bigint[],
-- $6 usage_to bigint[], $7 accounts_from bigint[], $8 accounts_to bigint[], $9 stored int[], $10 duplicates int[],
-- $11 rejected int[], $12 gaps bigint[], $13 recorded_at timestamptz[], $14 evidence bytea[], $15 generation int[],
-- $16 rerouted int[], $17 waiting int[], $18 chain_version smallint[], $19 previous bytea[], $20 hash bytea[],
-- $21 shard int[], $22 position bigint[], $23 kafka_offset bigint[], $24 id text[], $25 account_id text[],
-- $26 type smallint[], $27 resource smallint[], $28 amount bigint[], $29 name text[], $30 occurred_at text (an array),
-- $31 source text[], $32 data json[], $33 extensions json[], $34 event_key bytea[]
WITH asked AS MATERIALIZED (
    SELECT *
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                $9::int[], $10::int[], $11::int[], $12::bigint[], $13::timestamptz[], $14::bytea[], $15::int[], $16::int[],
                $17::int[], $18::smallint[], $19::bytea[], $20::bytea[])
        AS a (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from, accounts_to, stored,
              duplicates, rejected, gaps, recorded_at, evidence, generation, rerouted, waiting, chain_version, previous,
              hash)
), expected AS MATERIALIZED (
    SELECT s.shard
    FROM asked a
    JOIN meter.shards s ON s.shard = a.shard
    WHERE s.usage_offset = a.usage_from AND s.accounts_offset = a.accounts_from AND s.next_position = a.first_position
      AND s.next_batch = a.batch AND s.head = a.previous AND s.generation = a.generation
    FOR UPDATE OF s SKIP LOCKED
), known AS MATERIALIZED (
    SELECT
    FROM unnest($21::int[], $34::bytea[]) AS n (shard, event_key)
    -- LATERAL with OFFSET 0 keeps to the index, whatever statistics say.
    CROSS JOIN LATERAL (
        SELECT FROM meter.events l WHERE l.shard = n.shard AND l.event_key = n.event_key OFFSET 0
    ) AS e
    LIMIT 1
), due AS MATERIALIZED (
    SELECT *
    FROM asked
    WHERE (SELECT count(*) FROM expected) = cardinality($1::int[]) AND NOT EXISTS (SELECT FROM known)
), appended AS (
    INSERT INTO meter.events
        (shard, position, recorded_at, kafka_offset, id, account_id, type, resource, amount, name, occurred_at, source,
         data, extensions, event_key)
    SELECT n.shard, n.position, d.recorded_at, n.kafka_offset, n.id, n.account_id, n.type, n.resource, n.amount, n.name,
           n.occurred_at, n.source, n.data, n.extensions, n.event_key
    FROM unnest($21::int[], $22::bigint[], $23::bigint[], $24::text[], $25::text[], $26::smallint[], $27::smallint[],
                $28::bigint[], $29::text[], $30::text::timestamptz[], $31::text[], $32::json[], $33::json[], $34::bytea[])
        AS n (shard, position, kafka_offset, id, account_id, type, resource, amount, name, occurred_at, source, data,
              extensions, event_key)
    JOIN due d ON d.shard = n.shard
), sealed AS (
    INSERT INTO meter.batches
        (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from, accounts_to, stored, duplicates,
         rejected, gaps, recorded_at, evidence, generation, rerouted, waiting, chain_version, previous, hash)
    SELECT * FROM due
), moved AS (
    UPDATE meter.shards s
    SET usage_offset = d.usage_to, accounts_offset = d.accounts_to, next_position = d.last_position + 1,
        next_batch = d.batch + 1, head = d.hash
    FROM due d
    WHERE s.shard = d.shard
    RETURNING s.shard
)
SELECT pg_notify('meter_events', shard::text) FROM moved
