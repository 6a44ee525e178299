-- outside a transaction: on a large log each index takes minutes to hours, while readers go on.
-- The first keeps identities unique, the second finds events stored before; then the old constraint can go.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS events_identity
    ON meter.events (shard, event_key) WHERE event_key IS NOT NULL;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS events_old_id
    ON meter.events (shard, event_id) WHERE event_key IS NULL;

ALTER TABLE meter.events DROP CONSTRAINT IF EXISTS events_event_id;
