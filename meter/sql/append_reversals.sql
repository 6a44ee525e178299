-- Link reversals to the usage they reverse.
-- $1 shard int, $2 positions bigint[], $3 positions of the usage bigint[], $4 amounts bigint[]
INSERT INTO meter.reversals (shard, position, reverses, amount)
SELECT $1, position, reverses, amount
FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS l (position, reverses, amount)
