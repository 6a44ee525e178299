-- Accounts that were forgotten, and are not on the list outside the database yet, or still have refused records.
-- $1 shards int[]
SELECT k.shard, k.account_id, k.forgotten_at,
       EXISTS (SELECT FROM meter.events e
               WHERE e.shard = k.shard AND e.account_id = k.account_id AND e.type > {{last_usage}}
                 AND e.type = {{account.forgotten.v1}}) AS is_in_log
FROM meter.keys k
WHERE k.shard = ANY ($1::int[]) AND k.forgotten_at IS NOT NULL AND k.cleared_at IS NULL
ORDER BY k.forgotten_at
LIMIT 100
