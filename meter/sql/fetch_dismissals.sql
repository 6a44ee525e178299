-- Which of these rejections are dealt with, by whom, when and why.
-- $1 rejection ids bigint[]
SELECT rejection_id, reason, dismissed_by, dismissed_at
FROM meter.dismissals
WHERE rejection_id = ANY ($1)
ORDER BY rejection_id
