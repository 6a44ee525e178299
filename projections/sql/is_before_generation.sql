-- Whether a shard's fold has not come to where its newest generation begins.
-- $1 projection text, $2 shard int
SELECT EXISTS (SELECT FROM projections.cursors c
               JOIN meter.generations g ON g.shard = c.shard AND g.from_position - 1 > c.position
               WHERE c.projection = $1 AND c.shard = $2)
