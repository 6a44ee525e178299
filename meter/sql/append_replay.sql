-- Record that the original bytes of a rejection were sent again, and where the records are.
-- $1 rejection_id bigint, $2 replayed_by text, $3 replayed_at timestamptz, $4 shards int[] or null, $5 kafka offsets bigint[] or null
INSERT INTO meter.replays (rejection_id, replayed_by, replayed_at, landed_shards, landed_offsets) VALUES ($1, $2, $3, $4, $5)
