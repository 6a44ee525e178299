-- The newest events of each range whose producer asked for a trace. A search in the text: what JSON functions of Postgres
-- refuse must not stop a shard. Read only while traces are on.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[], $4 most of each bigint
SELECT e.shard, e.position, e.account_id, e.resource, e.recorded_at, e.parent
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
CROSS JOIN LATERAL (
    SELECT l.shard, l.position, l.account_id, l.resource, l.recorded_at,
           substring(l.extensions::text, '"traceparent"[ \t\r\n]*:[ \t\r\n]*"([0-9a-f-]{55})["-]') AS parent
    FROM meter.events l
    WHERE l.shard = r.shard /*citus AND l.shard = $1[1] */ AND l.position > r.after AND l.position <= r.upto AND l.extensions IS NOT NULL
      AND l.extensions::text ~ '"traceparent"[ \t\r\n]*:[ \t\r\n]*"[0-9a-f-]{54}[13579bdf]["-]'
    ORDER BY l.position DESC
    LIMIT $4
) AS e
ORDER BY e.shard, e.position
