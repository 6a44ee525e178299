-- The published states of an account's balances within a time, and those since the start of the epoch in which it begins; the
-- newest where there are more. In the order of positions.
-- $1 account text, $2 from timestamptz, $3 until timestamptz, $4 most integer
WITH epochs AS (
    SELECT resource, max(epoch) AS epoch
    FROM projections.exhaustion_history
    WHERE account_id = $1 AND at < $2
    GROUP BY resource
), newest AS (
    SELECT h.position, h.resource, h.epoch, h.allocation, h.consumed, h.at
    FROM projections.exhaustion_history h
    LEFT JOIN epochs e ON e.resource = h.resource
    WHERE h.account_id = $1 AND h.at < $3 AND h.epoch >= coalesce(e.epoch, 0)
    ORDER BY h.position DESC
    LIMIT $4::int
)
SELECT resource, epoch, allocation, consumed, at FROM newest ORDER BY position
