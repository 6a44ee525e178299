-- advance_shard for several shards at once, each at most once. A shard that is missing from the answer is lost or locked.
-- $1 shards int[], $2 expected usage_offsets bigint[], $3 expected accounts_offsets bigint[],
-- $4 following usage_offsets bigint[], $5 following accounts_offsets bigint[]
WITH asked AS MATERIALIZED (
    SELECT *
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS a (shard, usage_from, accounts_from, usage_to, accounts_to)
), locked AS MATERIALIZED (
    SELECT shard FROM meter.shards WHERE shard = ANY ($1) FOR UPDATE SKIP LOCKED
)
UPDATE meter.shards s
SET usage_offset = a.usage_to, accounts_offset = a.accounts_to
FROM asked a
JOIN locked l ON l.shard = a.shard
WHERE s.shard = a.shard AND s.usage_offset = a.usage_from AND s.accounts_offset = a.accounts_from
RETURNING s.shard, s.next_position, s.next_batch, s.head,
          coalesce((SELECT b.chain_version FROM meter.batches b WHERE b.shard = s.shard AND b.batch = 1) = 2, false)
          OR EXISTS (SELECT FROM meter.moved m
                     WHERE m.shard = s.shard
                       AND (SELECT b.chain_version FROM meter.batches b WHERE b.shard = m.origin AND b.batch = 1) = 2) AS has_old,
          s.generation
