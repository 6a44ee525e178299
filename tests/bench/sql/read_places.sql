-- What changes as long as the services get on: the place in the log of each cursor, and the first message to publish of each shard.
SELECT (SELECT sum(next_position) FROM meter.shards) AS stored, (SELECT sum(position) FROM projections.cursors) AS folded,
       (SELECT array_agg((SELECT min(o.id) FROM projections.outbox o WHERE o.shard = s.shard) ORDER BY s.shard) FROM meter.shards s) AS first
