-- Forget an attempt that did not come to the mail server: there was only something to wait for.
-- $1 email_id uuid, $2 claim int, $3 shard int
DELETE FROM notifier.email_attempts WHERE email_id = $1 AND claim = $2 AND coalesce(shard, $3) = $3 /*citus AND shard = $3 */
