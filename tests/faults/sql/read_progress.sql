-- How far each shard has come on its way through the services.
SELECT s.shard, s.usage_offset, s.accounts_offset, s.next_position - 1 AS last_position, c.position AS folded,
       u.position AS usage_folded, (SELECT count(*) FROM meter.outbox o WHERE o.shard = s.shard) AS held,
       (SELECT min(o.id) FROM projections.outbox o WHERE o.shard = s.shard) AS first_waiting,
       (SELECT max(o.id) FROM projections.outbox o WHERE o.shard = s.shard) AS last_waiting,
       n.next_offset AS noticed,
       (SELECT count(*) FROM notifier.outbox o WHERE o.shard = s.shard) AS notifications,
       (SELECT count(*) FROM notifier.emails e WHERE e.state = 'queued') AS emails
FROM meter.shards s
JOIN projections.cursors c ON c.shard = s.shard AND c.projection = 'balance'
JOIN projections.cursors u ON u.shard = s.shard AND u.projection = 'usage'
JOIN notifier.cursors n ON n.shard = s.shard
ORDER BY s.shard
