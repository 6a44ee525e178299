-- Plan, name, contacts, state and time zone of an account as they are now; no row: nobody opened it.
-- $1 account text
SELECT v.plan, v.display_name, v.opened_at, s.contacts, v.state, v.time_zone
FROM projections.accounts v
JOIN projections.account_states s ON s.account_id = v.account_id
WHERE v.account_id = $1
