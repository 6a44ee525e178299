-- Everything in the ranges that is not usage, in the order of positions. Account events bring their data,
-- and where these may be sealed the key of the account; an empty one: forgotten.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
SELECT e.shard, e.position, e.type, e.account_id, e.resource, e.amount, e.occurred_at, e.recorded_at,
       CASE WHEN e.type IN ({{account}}) THEN e.data::text END AS data, e.source = {{own_source}} AS derived,
       CASE WHEN e.type IN ({{account}}) THEN e.source END AS source,
       CASE WHEN e.type IN ({{account}})
            THEN coalesce(e.id, encode(substr(e.event_key, 1, 16), 'hex')::uuid::text, e.event_id::text) END AS event_id,
       CASE WHEN k.shard IS NOT NULL THEN coalesce(k.key, ''::bytea) END AS key
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
-- LATERAL with OFFSET 0 keeps to an index: else statistics of a large log lead to reading all of it.
CROSS JOIN LATERAL (
    SELECT * FROM meter.events l
    WHERE l.shard = r.shard /*citus AND l.shard = $1[1] */ AND l.position > r.after AND l.position <= r.upto AND l.type > {{last_usage}} OFFSET 0
) AS e
LEFT JOIN meter.keys k ON e.type IN ({{personal}}) AND k.shard = e.shard /*citus AND k.shard = $1[1] */ AND k.account_id = e.account_id
ORDER BY e.shard, e.position
