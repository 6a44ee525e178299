-- Queue letters, due after a pause.
-- $1 email_ids uuid[], $2 shards int[], $3 account_ids text[], $4 recipients text[], $5 notice_ids uuid[],
-- $6 generations int[], $7 seconds later in order double precision[], $8 created_at timestamptz, $9 pause_s double precision
INSERT INTO notifier.emails (email_id, shard, account_id, recipient, notice_id, state, next_attempt_at, created_at, generation,
                             order_at)
SELECT email_id, shard, account_id, recipient, notice_id, 'queued', now() + make_interval(secs => $9), $8, generation,
       now() + make_interval(secs => $9 + later_s)
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::uuid[], $6::int[], $7::double precision[])
    AS new (email_id, shard, account_id, recipient, notice_id, generation, later_s)
