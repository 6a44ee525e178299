-- When new counts of an account began: the first published state of each epoch behind another one that is known, newest first.
-- $1 account text, $2 most integer, $3 from timestamptz, $4 until timestamptz
SELECT resource, epoch, allocation, consumed, at
FROM (
    SELECT DISTINCT ON (resource, epoch) resource, epoch, allocation, consumed, at, position,
           min(epoch) OVER (PARTITION BY resource) AS first_known
    FROM projections.exhaustion_history
    WHERE account_id = $1
    ORDER BY resource, epoch, position
) AS e
WHERE epoch > first_known AND at >= $3 AND at < $4
ORDER BY at DESC, position DESC
LIMIT $2::int
