-- Up to which number refused records are looked at in one go: so many of them and so many bytes, or one alone that has more; null
-- where none is left.
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
