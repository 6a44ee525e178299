-- find_known for several shards at once.
-- $1 shards int[], $2 event keys bytea[] (of each shard, 32 bytes each, one behind the other)
SELECT e.shard, e.event_key, e.type, e.resource, e.amount, e.name, e.data::text AS data, e.position, e.recorded_at,
       e.account_id, CASE WHEN k.shard IS NOT NULL THEN coalesce(k.key, ''::bytea) END AS key
FROM unnest($1::int[], $2::bytea[]) AS a (shard, keys)
-- LATERAL with OFFSET 0 keeps to the index, whatever statistics say.
CROSS JOIN LATERAL (
    SELECT *
    FROM meter.events l
    WHERE l.shard = a.shard AND l.event_key IS NOT NULL
      AND l.event_key = ANY (ARRAY(SELECT substr(a.keys, 32 * i + 1, 32) FROM generate_series(0, length(a.keys) / 32 - 1) AS i))
    OFFSET 0
) AS e
LEFT JOIN meter.keys k ON e.type IN ({{personal}}) AND k.shard = e.shard AND k.account_id = e.account_id
