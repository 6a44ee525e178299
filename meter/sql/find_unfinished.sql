-- What must have gone out before accounts can move: messages in outboxes, and events in a partition beyond the shards.
-- $1 shards before int
SELECT (SELECT count(*) FROM meter.outbox WHERE usage_end IS NULL) AS meter,
       (SELECT count(*) FROM projections.outbox) AS projections,
       (SELECT count(*) FROM notifier.outbox) AS notifier,
       EXISTS (SELECT 1 FROM meter.events WHERE shard >= $1) AS is_beyond,
       EXISTS (SELECT 1 FROM meter.sealed_later) AS is_sealed_later
