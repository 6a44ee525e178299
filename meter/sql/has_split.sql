-- Whether accounts ever moved to other shards.
SELECT EXISTS (SELECT 1 FROM meter.moved) AS has_split
