-- Put the sealed form in place of what was stored in clear, and note which events that were.
-- $1 shard int, $2 generation int, $3 positions bigint[], $4 data text[]
WITH noted AS (
    INSERT INTO meter.sealed_later (shard, generation, position) SELECT $1, $2, unnest($3::bigint[])
)
UPDATE meter.events e SET data = n.data::json
FROM unnest($3::bigint[], $4::text[]) AS n (position, data)
WHERE e.shard = $1 AND e.position = n.position
