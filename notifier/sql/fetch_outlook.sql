-- How far a shard was read, and how long a contact must wait for the next letter: as many as a day may bring have come.
-- $1 topic text, $2 shard int, $3 account_id text, $4 recipient text, $5 limit of a day bigint, $6 day_s double precision
SELECT (SELECT next_offset FROM notifier.cursors WHERE topic = $1 AND shard = $2) AS next_offset, (
    SELECT extract(epoch FROM finished_at + make_interval(secs => $6) - now())::double precision
    FROM notifier.emails
    WHERE shard = $2 AND account_id = $3 AND recipient = $4 AND state IN ('accepted', 'presumed')
      AND finished_at > now() - make_interval(secs => $6)
    ORDER BY finished_at DESC
    OFFSET $5::bigint - 1 LIMIT 1
) AS capped_s
