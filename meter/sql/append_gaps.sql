-- Record offsets that the broker never delivered.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 from offsets bigint[], $5 to offsets bigint[]
INSERT INTO meter.gaps (shard, topic, from_offset, to_offset, recorded_at)
SELECT $1, g.topic, g.from_offset, g.to_offset, $2
FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS g (topic, from_offset, to_offset)
