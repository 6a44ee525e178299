-- Take bytes of an account that was forgotten out of refused records. The batch keeps the digest of what they were.
-- $1 shards int[], $2 rejection ids bigint[], $3 topics text[], $4 reasons text[], $5 details text[], $6 keys bytea[],
-- $7 values bytea[], $8 headers text[] (JSON), $9 packed boolean[]
UPDATE meter.rejections r
SET detail = n.detail, key = n.key, value = n.value, headers = n.headers::jsonb, forgotten = true
FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::text[], $9::boolean[])
    AS n (shard, rejection_id, topic, reason, detail, key, value, headers, packed)
WHERE r.shard = n.shard AND r.rejection_id = n.rejection_id
