-- Wake whoever publishes, once this transaction commits.
SELECT pg_notify('projections_outbox', '')
