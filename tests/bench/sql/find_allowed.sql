-- Which of the accounts are allowed model credits.
-- $1 text[]: accounts
SELECT account_id FROM projections.balances WHERE account_id = ANY($1) AND resource = 'model_credits' AND allowed
