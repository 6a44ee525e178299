-- Which of these event ids are stored already. Asked under the shard's row lock, so the answer stays true.
-- $1 shard int, $2 event ids uuid[]
SELECT event_id FROM meter.events WHERE shard = $1 AND event_id = ANY ($2)
