-- Queued emails: in all, due now, and for how many seconds the first of these has been due; and how old the oldest is of those that no
-- limit of a day puts off. Such a one was never claimed; a claim and each pause make a letter due anew, so what waits through an
-- outage is always due for a moment only.
SELECT count(*) AS waiting, count(*) FILTER (WHERE next_attempt_at <= now()) AS due,
       coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE next_attempt_at <= now())), 0)::double precision
           AS overdue_s,
       greatest(extract(epoch FROM now() - min(created_at) FILTER (WHERE claim > 0 OR next_attempt_at <= now())), 0)::double precision
           AS oldest_s
FROM notifier.emails
WHERE state = 'queued'
