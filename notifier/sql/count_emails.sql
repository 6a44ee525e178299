-- Queued emails: in all, due now, and tries whose end is not known.
SELECT count(*) AS waiting, count(*) FILTER (WHERE next_attempt_at <= now()) AS due
FROM notifier.emails
WHERE state = 'queued'
