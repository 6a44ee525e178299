-- What the services have not done yet: positions that are not folded, events not published, letters and usage aside.
SELECT (SELECT coalesce(sum(s.next_position - 1 - c.position), 0)::bigint
        FROM meter.shards s JOIN projections.cursors c ON c.shard = s.shard AND c.projection = 'balance') AS not_folded,
       (SELECT count(*) FROM projections.outbox) AS not_published,
       EXISTS (SELECT 1 FROM meter.moved) AS is_split
