-- The thresholds that an account was ever noticed at.
-- $1 account text
SELECT DISTINCT threshold FROM notifier.notices WHERE account_id = $1
