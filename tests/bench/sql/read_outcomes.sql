-- What became of all records so far.
SELECT coalesce(sum(stored), 0)::bigint AS stored, coalesce(sum(duplicates), 0)::bigint AS duplicates,
       coalesce(sum(rejected), 0)::bigint AS rejected, coalesce(sum(gaps), 0)::bigint AS gaps,
       (SELECT count(*) FROM meter.duplicates) AS duplicate_rows,
       (SELECT count(*) FROM meter.rejections) AS rejection_rows
FROM meter.batches
