-- Which producers' spans the lines of an account follow from.
-- $1 shard int, $2 account text
SELECT shard, account_id, resource, epoch, line, traceparent
FROM notifier.line_traces
WHERE shard = $1 AND account_id = $2
