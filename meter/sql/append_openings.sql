-- Keep which events of a batch opened their account: of each account the first ever.
-- $1 shard int, $2 first position bigint, $3 last position bigint
INSERT INTO meter.openings (shard, account_id, position)
SELECT shard, account_id, min(position)
FROM meter.events
WHERE shard = $1 AND position BETWEEN $2 AND $3 AND type > {{last_usage}} AND type = {{account.opened.v1}}
GROUP BY shard, account_id
ON CONFLICT (shard, account_id) DO NOTHING
