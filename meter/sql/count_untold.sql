-- How many of these letters, whose end was published, wait here or are not known, and were not read back after an earlier restore.
-- $1 email_ids uuid[]
SELECT count(*)
FROM unnest($1::uuid[]) AS o (email_id)
LEFT JOIN notifier.emails e ON e.email_id = o.email_id
WHERE coalesce(e.state, 'queued') = 'queued'
  AND NOT EXISTS (SELECT FROM notifier.recalled r WHERE r.email_id = o.email_id)
