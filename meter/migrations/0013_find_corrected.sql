-- outside a transaction: on a large log each index takes minutes, while readers go on.
-- The first finds the usage that a reversal names by an id that is no UUID, the second the grants of an account.
CREATE INDEX CONCURRENTLY IF NOT EXISTS events_text_id ON meter.events (shard, id, account_id) WHERE id IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS events_moves
    ON meter.events (shard, account_id, position) WHERE type IN (13, 15);
