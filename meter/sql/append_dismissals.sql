-- Record that rejections are dealt with, and why; what was said before stays. Returns those that are dealt with by this.
-- $1 rejection ids bigint[], $2 reason text, $3 dismissed by text, $4 dismissed_at timestamptz
INSERT INTO meter.dismissals (shard, rejection_id, reason, dismissed_by, dismissed_at)
SELECT r.shard, r.rejection_id, $2, $3, $4
FROM meter.rejections r
WHERE r.rejection_id = ANY ($1)
ON CONFLICT (shard, rejection_id) DO NOTHING
RETURNING rejection_id
