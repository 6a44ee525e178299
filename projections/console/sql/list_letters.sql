-- What became of each letter, newest first; contact_id stands for the address.
-- $1 account text, $2 most integer
SELECT contact_id, state, attempts, lines, created_at, finished_at
FROM notifier.letter_history WHERE account_id = $1
ORDER BY created_at DESC
LIMIT $2::int
