-- The notices of an account, newest first; of the lines of emails of the present epoch, who knows of each.
-- $1 account_id text, $2 limit bigint, $3 its shard int
SELECT n.created_at, n.resource, n.epoch, n.channel, n.threshold, n.outcome,
       (n.consumed * 0.000001)::numeric(38, 6) AS consumed,
       (n.allocation * 0.000001)::numeric(38, 6) AS allocation,
       s.contact, s.says, s.state, s.reason, s.letter, s.at
FROM notifier.notices n
LEFT JOIN notifier.line_states s
    ON n.channel = 'email' AND s.shard = n.shard AND s.account_id = n.account_id AND s.resource = n.resource AND s.epoch = n.epoch
   AND s.line = n.threshold
WHERE n.account_id = $1 AND n.shard = $3
ORDER BY n.created_at DESC, n.position DESC, n.resource, n.channel, n.threshold DESC, s.contact
LIMIT $2
