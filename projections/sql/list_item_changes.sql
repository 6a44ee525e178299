-- Of each item of a shard the newest event that tells of it, up to a position, with the key of its account: an empty one, forgotten; null, it
-- has none and its data is in clear.
-- $1 shard int, $2 position bigint
SELECT DISTINCT ON (e.account_id, e.data ->> 'kind', e.name)
       e.account_id, e.position, e.data::text AS data, CASE WHEN k.shard IS NOT NULL THEN coalesce(k.key, ''::bytea) END AS key
FROM meter.events e
LEFT JOIN meter.keys k ON k.shard = e.shard AND k.account_id = e.account_id
WHERE e.shard = $1 AND e.position <= $2 AND e.type > {{last_usage}} AND e.type = {{item.changed.v1}}
ORDER BY e.account_id, e.data ->> 'kind', e.name, e.position DESC
