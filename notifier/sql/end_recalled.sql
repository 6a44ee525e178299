-- Letters that wait here and were sent in the history that is lost: they end as they did there.
-- $1 email_ids of those that nobody knows to have arrived uuid[]
UPDATE notifier.emails e SET
    state = CASE WHEN e.email_id = ANY ($1::uuid[]) THEN 'presumed' ELSE 'accepted' END, finished_at = r.ended_at, lines = '[]',
    handed_over_at = NULL, reason = 'sent before the database went back in time'
FROM (SELECT DISTINCT email_id, ended_at FROM notifier.recalled) AS r
WHERE e.email_id = r.email_id AND e.state = 'queued'
