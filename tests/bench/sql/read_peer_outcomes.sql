-- What the Go peer made of the records, counted by its batches and by its rows.
SELECT sum(stored)::bigint AS stored, sum(duplicates)::bigint AS duplicates, sum(rejected)::bigint AS rejected,
       (SELECT count(*) FROM peer.events) AS event_rows, (SELECT count(*) FROM peer.duplicates) AS duplicate_rows,
       (SELECT count(*) FROM peer.rejections) AS rejection_rows
FROM peer.batches
