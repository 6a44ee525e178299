-- The first day on which an account used anything, of its own zone.
-- $1 account text
SELECT min(day) FROM projections.usage_by_own_day WHERE account_id = $1
