-- The first day on which an account used anything, or anything of a kind, of its own zone.
-- $1 account text, $2 kind text or null (for all kinds)
SELECT min(day) FROM projections.usage_by_own_day WHERE account_id = $1 AND ($2::text IS NULL OR kind = $2)
