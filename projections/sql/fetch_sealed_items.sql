-- Of each item that events in the ranges tell of the newest event, where its account has a key, with it: the owner may be sealed. An
-- empty key: forgotten.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
SELECT DISTINCT ON (e.shard, e.account_id, e.data ->> 'kind', e.name)
       e.shard, e.position, e.account_id, e.data::text AS data, coalesce(k.key, ''::bytea) AS key
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
-- Fenced as in fold_usage.sql; `type >` finds the index of what is not usage.
CROSS JOIN LATERAL (
    SELECT * FROM meter.events m
    WHERE m.shard = r.shard /*citus AND m.shard = $1[1] */ AND m.position > r.after AND m.position <= r.upto AND m.type > {{last_usage}}
      AND m.type = {{item.changed.v1}}
    OFFSET 0
) AS e
JOIN meter.keys k ON k.shard = e.shard /*citus AND k.shard = $1[1] */ AND k.account_id = e.account_id
ORDER BY e.shard, e.account_id, e.data ->> 'kind', e.name, e.position DESC
