-- Where the events of a shard's positions up to one of them are: in the shard, and where accounts moved, in the shards that share
-- positions of before with it; and up to which position of each.
-- $1 shard int, $2 position bigint
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
