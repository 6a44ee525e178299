-- Micro-units used per account and resource, as the usage by slots shows them.
SELECT account_id, resource, sum(amount)::bigint AS used FROM projections.usage_slots GROUP BY account_id, resource
