-- How far a shard was read, and for how many seconds each limit of a day holds the next letter back: null for none.
-- $1 topic text, $2 shard int, $3 account_id text, $4 recipient text,
-- $5 limit of a contact bigint, $6 limit of an address bigint, $7 limit of an account bigint, $8 day_s double precision
SELECT (SELECT next_offset FROM notifier.cursors WHERE topic = $1 AND shard = $2) AS next_offset, (
    SELECT extract(epoch FROM finished_at + make_interval(secs => $8) - now())::double precision
    FROM notifier.emails
    WHERE shard = $2 AND account_id = $3 AND recipient = $4 AND state IN ('accepted', 'presumed')
      AND finished_at > now() - make_interval(secs => $8)
    ORDER BY finished_at DESC
    OFFSET $5::bigint - 1 LIMIT 1
) AS contact_s, (
    -- The one look at all shards: an address is a contact of accounts anywhere.
    SELECT extract(epoch FROM finished_at + make_interval(secs => $8) - now())::double precision
    FROM notifier.emails
    WHERE lower(recipient) = lower($4) AND state IN ('accepted', 'presumed')
      AND finished_at > now() - make_interval(secs => $8)
    ORDER BY finished_at DESC
    OFFSET $6::bigint - 1 LIMIT 1
) AS address_s, (
    SELECT extract(epoch FROM finished_at + make_interval(secs => $8) - now())::double precision
    FROM notifier.emails
    WHERE shard = $2 AND account_id = $3 AND state IN ('accepted', 'presumed')
      AND finished_at > now() - make_interval(secs => $8)
    ORDER BY finished_at DESC
    OFFSET $7::bigint - 1 LIMIT 1
) AS account_s
