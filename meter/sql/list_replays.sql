-- When, and by whom, rejections were replayed, and where the records are.
-- $1 rejection ids bigint[]
SELECT rejection_id, replayed_by, replayed_at, landed_shards, landed_offsets
FROM meter.replays
WHERE rejection_id = ANY ($1)
ORDER BY replay_id
