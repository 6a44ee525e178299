-- How far all three services are: records taken from Kafka, events stored, events folded into balances and into usage, notices.
SELECT (SELECT coalesce(sum(usage_offset + accounts_offset), 0)::bigint FROM meter.shards) AS taken,
       (SELECT coalesce(sum(next_position - 1), 0)::bigint FROM meter.shards) AS stored,
       (SELECT coalesce(sum(position), 0)::bigint FROM projections.cursors WHERE projection = 'balance') AS folded,
       (SELECT coalesce(sum(position), 0)::bigint FROM projections.cursors WHERE projection = 'usage') AS used,
       (SELECT count(*) FROM notifier.notices) AS notices
