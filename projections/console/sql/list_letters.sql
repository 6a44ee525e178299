-- What became of each letter, newest first, by when it did; contact_id stands for the address.
-- $1 account text, $2 most integer, $3 from timestamptz, $4 until timestamptz
SELECT contact_id, state, attempts, lines, coalesce(finished_at, created_at) AS at
FROM notifier.letter_history
WHERE account_id = $1 AND created_at < $4::timestamptz + interval '1 hour'  -- along the index; none ends before it is made, but for another clock
  AND coalesce(finished_at, created_at) >= $3 AND coalesce(finished_at, created_at) < $4
ORDER BY coalesce(finished_at, created_at) DESC
LIMIT $2::int
