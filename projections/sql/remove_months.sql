-- Remove the sums of months of accounts whose days are gone, before they are summed up anew.
-- $1 shard int, $2 after account text, $3 upto account text, $4 first month date, $5 until month date (not included)
DELETE FROM projections.usage_months m
WHERE m.shard = $1 AND m.account_id > $2 COLLATE "C" AND m.account_id <= $3 COLLATE "C" AND m.month >= $4 AND m.month < $5
  AND NOT EXISTS (
      SELECT FROM projections.usage_totals t
      WHERE t.shard = m.shard /*citus AND t.shard = $1 */ AND t.account_id = m.account_id AND t.day >= m.month
        AND t.day < (m.month + interval '1 month')::date AND t.resource = m.resource AND t.kind = m.kind
        AND t.item = m.item AND t.deployment = m.deployment AND t.category = m.category AND t.status = m.status)
