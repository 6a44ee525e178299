-- Queued emails: in all, due now, and for how many seconds the first of these has been due; for how long the oldest has been owed that
-- no limit of a day puts off, and how many have been owed for longer than a time. One that is put off was never claimed; a claim and
-- each pause make a letter due anew, so what waits through an outage is always due for a moment only. The time for which a limit put
-- a letter off does not count: the limit was over at next_attempt_at of the last capped letter to the same contact.
-- $1 seconds double precision
SELECT count(*) AS waiting, count(*) FILTER (WHERE next_attempt_at <= now()) AS due,
       coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE next_attempt_at <= now())), 0)::double precision
           AS overdue_s,
       greatest(extract(epoch FROM now() - min(since)), 0)::double precision AS oldest_s,
       count(*) FILTER (WHERE since < now() - make_interval(secs => $1)) AS held
FROM (
    SELECT e.next_attempt_at, CASE WHEN e.claim > 0 OR e.next_attempt_at <= now() THEN greatest(e.created_at, (
        SELECT max(p.next_attempt_at) FROM notifier.emails p
        WHERE p.shard = e.shard AND p.account_id = e.account_id AND p.recipient = e.recipient AND p.state = 'capped'
          AND p.finished_at > e.created_at - interval '2 days'  -- no limit of a day puts off for longer: few rows of the index
        GROUP BY p.shard
    )) END AS since
    FROM notifier.emails e
    WHERE e.state = 'queued'
) queued
