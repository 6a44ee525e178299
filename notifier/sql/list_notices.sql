-- The notices of an account with the emails that came of each, newest first.
-- $1 account_id text, $2 limit bigint
SELECT n.created_at, n.resource, n.epoch, n.channel, n.threshold, n.outcome,
       (n.consumed * 0.000001)::numeric(38, 6) AS consumed,
       (n.allocation * 0.000001)::numeric(38, 6) AS allocation,
       e.email_id, e.recipient, e.state, e.attempts, e.ambiguous_attempts, e.finished_at, e.reason
FROM notifier.notices n
LEFT JOIN notifier.emails e USING (notice_id)
WHERE n.account_id = $1
ORDER BY n.created_at DESC, n.position DESC, n.resource, n.channel, n.threshold DESC, e.recipient
LIMIT $2
