-- How many events there are for the positions of a shard's log, up to one of them. Fewer than the position: the log has holes. Where
-- accounts moved, positions of before are shared by the shards that the events are in now.
-- $1 shard int, $2 position bigint
SELECT sum(e.events)::bigint
FROM (
    SELECT shard, max(upto) AS upto
    FROM (
        SELECT $1::int AS shard, $2::bigint AS upto
        UNION ALL
        SELECT m.shard, least(m.upto, $2::bigint) FROM meter.moved m WHERE m.origin = $1
        UNION ALL
        SELECT m.origin, least(m.upto, $2::bigint) FROM meter.moved m WHERE m.shard = $1
        UNION ALL
        SELECT r.shard, least(m.upto, r.upto, $2::bigint)
        FROM meter.moved m
        JOIN meter.moved r ON r.origin = m.origin AND r.shard <> m.shard
        WHERE m.shard = $1
    ) relatives
    GROUP BY shard
) h
CROSS JOIN LATERAL (SELECT count(*) AS events FROM meter.events v WHERE v.shard = h.shard AND v.position <= h.upto) e
