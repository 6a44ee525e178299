-- What is kept of an account that nobody opened: plan, name, time zone and contacts.
-- $1 account text
SELECT plan, display_name, time_zone, contacts
FROM projections.account_states
WHERE account_id = $1 AND opened_at IS NULL
