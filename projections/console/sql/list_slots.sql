-- Usage of an account by 15 minutes and kind, for days of a zone that its days are not added up in.
-- $1 account text, $2 from timestamptz, $3 until timestamptz
SELECT slot AS at, resource, kind, sum(amount) AS amount
FROM projections.usage_by_slot
WHERE account_id = $1 AND slot >= $2 AND slot < $3
GROUP BY slot, resource, kind
