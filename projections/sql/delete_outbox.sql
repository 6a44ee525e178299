-- Delete published messages, each by its shard and id.
-- $1 shards int[], $2 ids bigint[]
DELETE FROM projections.outbox o USING unnest($1::int[], $2::bigint[]) AS p (shard, id)
WHERE o.shard = p.shard AND o.id = p.id /*citus AND o.shard = $1[1] */;
