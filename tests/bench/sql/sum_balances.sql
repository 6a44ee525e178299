-- Micro-units used per account and resource, as the balances show them.
SELECT account_id, resource, consumed AS used FROM projections.balance_states
