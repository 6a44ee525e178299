-- Record that the original bytes of a rejection were sent again.
-- $1 rejection_id bigint, $2 replayed_by text, $3 replayed_at timestamptz
INSERT INTO meter.replays (rejection_id, replayed_by, replayed_at) VALUES ($1, $2, $3)
