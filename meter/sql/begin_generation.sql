-- Record where a generation begins, if the shard is still in the one before and where it was. Returns the digest that the hash of
-- the batch covers; no row: another writer moved the shard.
-- $1 shard int, $2 generation before int, $3 generation int, $4 usage_known bigint, $5 accounts_known bigint,
-- $6 position_known bigint, $7 begun_at timestamptz, $8 begun_by text, $9 reason text, $10 expected head bytea,
-- $11 sealed_from bytea (null where the database went back in time)
WITH moved AS (
    UPDATE meter.shards SET generation = $3 WHERE shard = $1 AND generation = $2 AND head = $10
    RETURNING shard, generation, next_batch, next_position, usage_offset, accounts_offset, head
), begun AS (
    INSERT INTO meter.generations (shard, generation, batch, from_position, usage_offset, accounts_offset, head, usage_known,
                                   accounts_known, position_known, begun_at, begun_by, reason, sealed_from)
    SELECT shard, generation, next_batch, next_position, usage_offset, accounts_offset, head, $4, $5, $6, $7, $8, $9, $11
    FROM moved
    RETURNING *
)
SELECT b.batch, b.from_position, b.usage_offset, b.accounts_offset, sha256(
           CASE WHEN b.sealed_from IS NULL
               THEN record_send(ROW(
                   b.shard, b.generation, b.batch, b.from_position, b.usage_offset, b.accounts_offset, b.head, b.usage_known,
                   b.accounts_known, b.position_known, b.begun_at, b.begun_by, b.reason))
               ELSE record_send(ROW(
                   b.shard, b.generation, b.batch, b.from_position, b.usage_offset, b.accounts_offset, b.head, b.usage_known,
                   b.accounts_known, b.position_known, b.begun_at, b.begun_by, b.reason, b.sealed_from))
           END) AS digest
FROM begun b
