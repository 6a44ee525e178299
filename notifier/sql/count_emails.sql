-- Queued emails: in all, due now, and for how many seconds the first of these has been due.
SELECT count(*) AS waiting, count(*) FILTER (WHERE next_attempt_at <= now()) AS due,
       coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE next_attempt_at <= now())), 0)::double precision
           AS overdue_s
FROM notifier.emails
WHERE state = 'queued'
