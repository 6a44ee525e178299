-- What events in the ranges tell of items; of several about one item the newest. What is for information and cannot be read is null.
-- Data that is sealed comes opened.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[], $4 shards of opened data int[], $5 positions of opened data bigint[],
-- $6 opened data text[] (JSON)
INSERT INTO projections.items AS t (
    shard, account_id, kind, id, name, status, owner, type, language, version, reason, deployed_at, position)
SELECT DISTINCT ON (e.shard, e.account_id, e.kind, e.id)
       e.shard, e.account_id, e.kind, e.id, e.data ->> 'name', e.data ->> 'status',
       projections.read_text(e.data -> 'owner', {{name_chars}}),
       CASE WHEN e.data ->> 'type' IN ({{model_types}}) THEN e.data ->> 'type' END,
       projections.read_text(e.data -> 'language', {{name_chars}}),
       projections.read_text(e.data -> 'version', {{name_chars}}),
       projections.read_text(e.data -> 'reason', {{name_chars}}),
       projections.read_moment(e.data -> 'deployed_at'), e.position
FROM (
    SELECT l.shard, l.account_id, l.data ->> 'kind' AS kind, l.name AS id, projections.read_object(coalesce(o.data::json, l.data)) AS data,
           l.position
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    -- Fenced as in fold_usage.sql; `type >` finds the index of what is not usage.
    CROSS JOIN LATERAL (
        SELECT * FROM meter.events m
        WHERE m.shard = r.shard /*citus AND m.shard = $1[1] */ AND m.position > r.after AND m.position <= r.upto AND m.type > {{last_usage}}
          AND m.type = {{item.changed.v1}}
        OFFSET 0
    ) AS l
    LEFT JOIN unnest($4::int[], $5::bigint[], $6::text[]) AS o (shard, position, data)
        ON o.shard = l.shard AND o.position = l.position
    OFFSET 0  -- so that data are read once for each event, not once for each field
) AS e
ORDER BY e.shard, e.account_id, e.kind, e.id, e.position DESC
ON CONFLICT (shard, account_id, kind, id) DO UPDATE
SET name = excluded.name, status = excluded.status, owner = excluded.owner, type = excluded.type,
    language = excluded.language, version = excluded.version, reason = excluded.reason, deployed_at = excluded.deployed_at,
    position = excluded.position
WHERE excluded.position > t.position
