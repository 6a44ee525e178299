-- The generations of a shard that began when its old personal data was sealed.
-- $1 shard int
SELECT generation, batch, sealed_from FROM meter.generations WHERE shard = $1 AND sealed_from IS NOT NULL ORDER BY generation
