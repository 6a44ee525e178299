-- The shard of a letter.
-- $1 email_id uuid
SELECT shard FROM notifier.emails WHERE email_id = $1
