-- When an account will have nothing left, at the pace of the last 24 hours; no row where too little is known to say it.
-- $1 account_id text
SELECT resource, empty_at FROM projections.runway WHERE account_id = $1 AND empty_at IS NOT NULL
