-- As advance_shard, for several shards. One that another writer has locked is passed over: the others need not wait.
-- $1 shards int[], $2 expected usage_offset bigint[], $3 expected accounts_offset bigint[],
-- $4 following usage_offset bigint[], $5 following accounts_offset bigint[]
WITH free AS MATERIALIZED (
    SELECT shard FROM meter.shards WHERE shard = ANY ($1) FOR UPDATE SKIP LOCKED
)
UPDATE meter.shards s
SET usage_offset = m.usage_to, accounts_offset = m.accounts_to
FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS m (shard, usage_from, accounts_from, usage_to, accounts_to)
JOIN free USING (shard)
WHERE s.shard = m.shard AND s.usage_offset = m.usage_from AND s.accounts_offset = m.accounts_from
RETURNING s.shard, s.next_position, s.next_batch, s.head
