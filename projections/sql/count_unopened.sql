-- Accounts with usage or grants that nobody opened, up to a number: where a producer writes wrong ids they can be millions, and this
-- is asked every few seconds.
-- $1 most int
SELECT count(*) FROM (SELECT DISTINCT account_id FROM projections.balance_states WHERE NOT opened LIMIT $1::int) found
