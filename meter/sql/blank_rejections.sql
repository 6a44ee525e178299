-- Take bytes of an account that was forgotten out of refused records. The batch keeps the digest of what they were. A row from which
-- somebody took another account since it was read stays as it is: what is written here has that account's bytes.
-- $1 shards int[], $2 rejection ids bigint[], $3 details text[], $4 keys bytea[], $5 values bytea[], $6 headers text[] (JSON),
-- $7 digests bytea[] (SHA-256 of the values that were read)
UPDATE meter.rejections r
SET detail = n.detail, key = n.key, value = n.value, headers = n.headers::jsonb, forgotten = true
FROM unnest($1::int[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::bytea[])
    AS n (shard, rejection_id, detail, key, value, headers, digest)
WHERE r.shard = n.shard AND r.rejection_id = n.rejection_id AND sha256(coalesce(r.value, '')) = n.digest
