-- Plan, name and state of an account; contacts are personal data and not in the view.
-- $1 account text
SELECT account_id, plan, display_name, time_zone, state, opened_at
FROM projections.accounts WHERE account_id = $1
