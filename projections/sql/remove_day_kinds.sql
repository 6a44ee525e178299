-- Remove the sums of days by kind of accounts whose days are gone, before they are added up anew.
-- $1 shard int, $2 after account text, $3 upto account text, $4 first day date, $5 until day date (not included)
DELETE FROM projections.usage_day_kinds k
WHERE k.shard = $1 AND k.account_id > $2 COLLATE "C" AND k.account_id <= $3 COLLATE "C" AND k.day >= $4 AND k.day < $5
  AND NOT EXISTS (
      SELECT FROM projections.usage_totals t
      WHERE t.shard = k.shard /*citus AND t.shard = $1 */ AND t.account_id = k.account_id AND t.day = k.day AND t.resource = k.resource
        AND t.kind = k.kind)
