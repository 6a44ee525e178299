-- Keep what an acceptance of letters on their way would count as. Lines arrive as JSON text.
-- $1 email_ids uuid[], $2 lines text[]
UPDATE notifier.emails e SET lines = new.lines::jsonb
FROM unnest($1::uuid[], $2::text[]) AS new (email_id, lines)
WHERE e.email_id = new.email_id AND e.state = 'queued'
