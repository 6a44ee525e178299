-- Who knows of each line that an account reached in the present epoch.
-- $1 account text, $2 resource text or null, $3 limit bigint, $4 shard int
SELECT resource, epoch, line, reached_at, contact, says, state, reason, letter, at
FROM notifier.line_states
WHERE account_id = $1 AND shard = $4 AND ($2::text IS NULL OR resource = $2)
ORDER BY resource, line DESC, contact
LIMIT $3
