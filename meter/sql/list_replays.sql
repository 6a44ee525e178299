-- When, and by whom, a rejection was replayed.
-- $1 rejection_id bigint
SELECT replayed_by, replayed_at FROM meter.replays WHERE rejection_id = $1 ORDER BY replay_id
