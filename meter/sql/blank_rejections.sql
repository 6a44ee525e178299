-- Take bytes of an account that was forgotten out of refused records. The batch keeps the digest of what they were.
-- $1 shards int[], $2 rejection ids bigint[], $3 details text[], $4 keys bytea[], $5 values bytea[], $6 headers text[] (JSON)
UPDATE meter.rejections r
SET detail = n.detail, key = n.key, value = n.value, headers = n.headers::jsonb, forgotten = true
FROM unnest($1::int[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[], $6::text[])
    AS n (shard, rejection_id, detail, key, value, headers)
WHERE r.shard = n.shard AND r.rejection_id = n.rejection_id
