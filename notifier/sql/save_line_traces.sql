-- Keep which producer's span each balance's line follows from.
-- $1 shards int[], $2 account_ids text[], $3 resources text[], $4 epochs int[], $5 lines int[], $6 traceparents text[]
INSERT INTO notifier.line_traces (shard, account_id, resource, epoch, line, traceparent)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::int[], $6::text[])
ON CONFLICT (shard, account_id, resource) DO UPDATE SET
    epoch = excluded.epoch, line = excluded.line, traceparent = excluded.traceparent
