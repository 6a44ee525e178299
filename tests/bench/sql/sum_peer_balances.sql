-- Micro-units used per account and resource, as the Go peer's balances show them.
SELECT account_id, resource, consumed::bigint AS used FROM peer.balances
