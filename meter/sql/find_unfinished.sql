-- What must be done before accounts can move: messages in outboxes, events that are in no balance yet (the fold would take positions
-- of events that moved for a hole), and events in a partition beyond the shards.
-- $1 shards before int
SELECT (SELECT count(*) FROM meter.outbox WHERE usage_end IS NULL) AS meter,
       (SELECT count(*) FROM projections.outbox) AS projections,
       (SELECT count(*) FROM notifier.outbox) AS notifier,
       (SELECT coalesce(sum(s.next_position - 1 - c.position), 0)::bigint
        FROM projections.cursors c
        JOIN meter.shards s ON s.shard = c.shard
        WHERE c.projection = 'balance') AS unfolded,
       EXISTS (SELECT 1 FROM meter.events WHERE shard >= $1) AS is_beyond,
       EXISTS (SELECT 1 FROM meter.sealed_later) AS is_sealed_later
