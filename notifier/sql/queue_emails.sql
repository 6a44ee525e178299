-- Queue letters, due after a pause.
-- $1 email_ids uuid[], $2 shards int[], $3 account_ids text[], $4 recipients text[], $5 notice_ids uuid[],
-- $6 created_at timestamptz, $7 pause_s double precision
INSERT INTO notifier.emails (email_id, shard, account_id, recipient, notice_id, state, next_attempt_at, created_at)
SELECT email_id, shard, account_id, recipient, notice_id, 'queued', now() + make_interval(secs => $7), $6
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::uuid[])
    AS new (email_id, shard, account_id, recipient, notice_id)
