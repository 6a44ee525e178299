-- Which of these identities the shard has already, and what is stored under them. Asked under the shard's row lock, so the
-- answer stays true. One run of bytes, because encoding an array costs the client six times as much; the sub-select keeps
-- thousands of constants away from the planner: always the index, planned in no time.
-- $1 shard int, $2 event keys bytea (32 bytes each, one behind the other)
SELECT event_key, type, resource, amount, name, data::text AS data, position, recorded_at
FROM meter.events
WHERE shard = $1 AND event_key IS NOT NULL
  AND event_key = ANY (ARRAY(SELECT substr($2::bytea, 32 * i + 1, 32) FROM generate_series(0, length($2::bytea) / 32 - 1) AS i))
