-- How far the store and the balances are: records taken from Kafka, events stored, events folded.
SELECT (SELECT coalesce(sum(usage_offset + accounts_offset), 0)::bigint FROM meter.shards) AS taken,
       (SELECT coalesce(sum(next_position - 1), 0)::bigint FROM meter.shards) AS stored,
       (SELECT coalesce(sum(position), 0)::bigint FROM projections.cursors WHERE projection = 'balance') AS folded
