-- Letters that wait here and were sent in the history that is lost.
UPDATE notifier.emails e SET
    state = 'accepted', finished_at = r.ended_at, lines = '[]', handed_over_at = NULL,
    reason = 'sent before the database went back in time'
FROM (SELECT DISTINCT email_id, ended_at FROM notifier.recalled) AS r
WHERE e.email_id = r.email_id AND e.state = 'queued'
