-- Plan, name and state of an account; contacts are personal data and not in the view.
-- $1 account text, $2 its shard int or null (any)
SELECT account_id, plan, display_name, time_zone, state, opened_at
FROM projections.accounts WHERE account_id = $1 AND ($2::int IS NULL OR shard = $2)
