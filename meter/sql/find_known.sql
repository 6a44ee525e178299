-- Which of these identities the shard has already, and what is stored under them. Asked under the shard's row lock, so the
-- answer stays true. One run of bytes, because encoding an array costs the client six times as much; the sub-select keeps
-- thousands of constants away from the planner: always the index, planned in no time.
-- Where data is sealed, `key` is that of the account; empty: forgotten.
-- $1 shard int, $2 event keys bytea (32 bytes each, one behind the other)
SELECT e.event_key, e.type, e.resource, e.amount, e.name, e.data::text AS data, e.position, e.recorded_at, e.account_id,
       CASE WHEN k.shard IS NOT NULL THEN coalesce(k.key, ''::bytea) END AS key
FROM meter.events e
LEFT JOIN meter.keys k ON e.type IN ({{personal}}) AND k.shard = e.shard AND k.account_id = e.account_id
WHERE e.shard = $1 AND e.event_key IS NOT NULL
  AND e.event_key = ANY (ARRAY(SELECT substr($2::bytea, 32 * i + 1, 32) FROM generate_series(0, length($2::bytea) / 32 - 1) AS i))
