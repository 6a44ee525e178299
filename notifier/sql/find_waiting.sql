-- Of these letters, whose end was published, those that wait here all the same.
-- $1 email_ids uuid[]
SELECT email_id FROM notifier.emails WHERE email_id = ANY($1) AND state = 'queued'
ORDER BY email_id
