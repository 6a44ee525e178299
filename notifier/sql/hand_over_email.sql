-- Before the final dot: from here on the mail may be accepted. No row: a later claim has taken over.
-- $1 email_id uuid, $2 claim int, $3 claim_s double precision, $4 message_id text, $5 message bytea, $6 lines text,
-- $7 notice_id uuid, $8 shard int
UPDATE notifier.emails SET
    handed_over_at = now(), next_attempt_at = now() + make_interval(secs => $3), message_id = $4, message = $5,
    lines = $6::text::jsonb, notice_id = $7
WHERE email_id = $1 AND shard = $8 AND claim = $2 AND state = 'queued'
RETURNING email_id
