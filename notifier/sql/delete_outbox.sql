-- Delete published messages.
-- $1 shard int, $2 ids bigint[]
DELETE FROM notifier.outbox WHERE shard = $1 AND id = ANY($2);
