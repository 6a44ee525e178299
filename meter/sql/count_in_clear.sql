-- How many events of an account were stored before addresses and names were encrypted, and hold some in clear. It reads all of the
-- shard that is no usage, so it has no limit of time.
-- $1 shard int, $2 account text
SELECT count(*) FROM meter.events
WHERE shard = $1 AND type > {{last_usage}} AND type IN ({{personal}}) AND account_id = $2
  AND CASE WHEN type = {{item.changed.v1}} THEN coalesce(json_typeof(data -> 'owner'), 'null') <> 'null'
           ELSE data::text NOT LIKE '%"sealed":"%' END
