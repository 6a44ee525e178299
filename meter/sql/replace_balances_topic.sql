-- Take a new metering.balances for the one that projections fill and the notifier reads, from its beginning.
-- $1 topic of the notifier text, $2 topic_id text
WITH filled AS (
    UPDATE projections.outbox_shards SET topic_id = $2
)
UPDATE notifier.cursors SET topic_id = $2, next_offset = 0 WHERE topic = $1
