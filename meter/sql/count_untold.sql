-- How many of these letters, whose end was published, wait here or are not known, and were not read back after an earlier restore.
-- $1 email_ids uuid[]
SELECT (SELECT count(DISTINCT email_id) FROM unnest($1::uuid[]) AS o (email_id))
       - (SELECT count(*) FROM (
              SELECT email_id FROM notifier.emails WHERE email_id = ANY ($1) AND state <> 'queued'
              UNION
              SELECT email_id FROM notifier.recalled WHERE email_id = ANY ($1)
          ) AS told)
