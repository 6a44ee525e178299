-- The number of the last refused record of the next portion. A portion ends before it has too many records or too many bytes, and has one
-- record at least. Null where no record is left.
-- $1 after bigint, $2 last bigint, $3 most rows bigint, $4 most bytes bigint
SELECT max(c.rejection_id)
FROM (
    SELECT r.rejection_id, row_number() OVER w AS number, sum(r.bytes) OVER w AS so_far
    FROM (
        SELECT rejection_id,
               coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) + octet_length(headers::text) AS bytes
        FROM meter.rejections
        WHERE rejection_id > $1 AND rejection_id <= $2
        ORDER BY rejection_id
        LIMIT $3
    ) r
    WINDOW w AS (ORDER BY r.rejection_id)
) c
WHERE c.number = 1 OR c.so_far <= $4
