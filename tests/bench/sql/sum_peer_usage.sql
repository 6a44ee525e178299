-- Micro-units used per account and resource, as the Go peer's usage by day shows them.
SELECT account_id, resource, sum(amount)::bigint AS used FROM peer.usage GROUP BY account_id, resource
