-- Which of the probes' accounts show their usage in the balance.
-- $1 text[]: accounts
SELECT account_id FROM projections.balance_states WHERE account_id = ANY($1) AND resource = 1 AND consumed > 0
