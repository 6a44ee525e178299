-- Which of these event ids are stored already. Asked under the shards' row locks, so the answer stays true.
-- Text, because encoding an array costs the client six times as much; the sub-select keeps thousands of constants away
-- from the planner: always the index, planned in no time.
-- $1 shards int[], $2 event ids text (a uuid array literal)
SELECT shard, event_id FROM meter.events WHERE shard = ANY ($1) AND event_id = ANY ((SELECT $2::text::uuid[])::uuid[])
