-- Queue emails, due at once.
-- $1 email_ids uuid[], $2 notice_ids uuid[], $3 recipients text[], $4 message_ids text[], $5 messages bytea[],
-- $6 created_at timestamptz
INSERT INTO notifier.emails (email_id, notice_id, recipient, message_id, message, state, next_attempt_at, created_at)
SELECT email_id, notice_id, recipient, message_id, message, 'queued', now(), $6
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[])
    AS new (email_id, notice_id, recipient, message_id, message)
