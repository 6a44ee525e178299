-- Micro-units used per account and resource, from the Go peer's events.
SELECT account_id, resource, sum(amount)::bigint AS used FROM peer.events GROUP BY account_id, resource
