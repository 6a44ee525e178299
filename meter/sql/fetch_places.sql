-- Where each shard stands, and where the notifier reads on; it does not read what no shard has.
-- $1 topic of the notifier text
SELECT s.shard, s.generation, s.next_position - 1 AS position, s.next_batch - 1 AS batch, s.usage_offset, s.accounts_offset,
       s.head, c.next_offset AS notifier_offset
FROM meter.shards s
LEFT JOIN notifier.cursors c ON c.topic = $1 AND c.shard = s.shard
ORDER BY s.shard
