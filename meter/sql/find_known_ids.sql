-- Which of these event ids the shard has already. Asked under the shard's row lock, so the answer stays true.
-- Text, because encoding an array costs the client six times as much; the sub-select keeps thousands of constants away
-- from the planner: always the index, planned in no time.
-- $1 shard int, $2 event ids text (a uuid array literal)
SELECT event_id FROM meter.events WHERE shard = $1 AND event_id = ANY ((SELECT $2::text::uuid[])::uuid[])
