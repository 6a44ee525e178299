-- Where a shard stands, locked: no writer moves it meanwhile. The notifier's place as in fetch_places.sql.
-- $1 topic of the notifier text, $2 shard int
SELECT s.shard, s.generation, s.next_position - 1 AS position, s.next_batch - 1 AS batch, s.usage_offset, s.accounts_offset,
       s.head, (SELECT c.next_offset FROM notifier.cursors c WHERE c.topic = $1 AND c.shard = s.shard /*citus AND c.shard = $2 */) AS notifier_offset
FROM meter.shards s
WHERE s.shard = $2
FOR UPDATE
