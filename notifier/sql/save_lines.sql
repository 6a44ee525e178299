-- Keep what an acceptance of letters on their way would count as. Lines arrive as JSON text.
-- $1 email_ids uuid[], $2 lines text[], $3 shards int[]
UPDATE notifier.emails e SET lines = new.lines::jsonb
FROM unnest($1::uuid[], $2::text[], $3::int[]) AS new (email_id, lines, shard)
WHERE e.email_id = new.email_id AND e.shard = new.shard /*citus AND e.shard = $3[1] */ AND e.state = 'queued'
