-- Accounts whose state went into the outbox since the newest republication began, by whichever process.
SELECT coalesce(sum(accounts), 0)::bigint FROM projections.republications
