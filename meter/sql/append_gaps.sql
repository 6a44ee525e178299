-- Record offsets that the broker never delivered; the digest of the rows is for the chain.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 from offsets bigint[], $5 to offsets bigint[]
WITH appended AS (
    INSERT INTO meter.gaps (shard, topic, from_offset, to_offset, recorded_at)
    SELECT $1, g.topic, g.from_offset, g.to_offset, $2
    FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS g (topic, from_offset, to_offset)
    RETURNING *
)
SELECT sha256(string_agg(
    record_send(ROW(a.shard, a.topic, a.from_offset, a.to_offset, a.recorded_at)),
    ''::bytea ORDER BY a.topic COLLATE "C", a.from_offset))
FROM appended a
