-- What became of each letter, newest first; contact_id stands for the address.
-- $1 account text, $2 most integer, $3 from timestamptz, $4 until timestamptz
SELECT contact_id, state, attempts, lines, created_at, finished_at
FROM notifier.letter_history WHERE account_id = $1 AND created_at >= $3 AND created_at < $4
ORDER BY created_at DESC
LIMIT $2::int
