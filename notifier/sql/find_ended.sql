-- Of these letters those whose end is known here.
-- $1 email_ids uuid[]
SELECT email_id FROM notifier.emails WHERE email_id = ANY($1) AND state <> 'queued'
