-- Usage of an account by hour, counted from the beginning of the time, and kind.
-- $1 account text, $2 from timestamptz, $3 until timestamptz
SELECT date_bin('1 hour', slot, $2) AS at, resource, kind, sum(amount) AS amount
FROM projections.usage_by_slot
WHERE account_id = $1 AND slot >= $2 AND slot < $3
GROUP BY 1, resource, kind
