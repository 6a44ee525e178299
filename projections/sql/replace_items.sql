-- Replace a shard's items that differ from what the log tells of them up to a position. Returns how many rows there are then, and
-- how many were added, changed and removed.
-- Data that is sealed comes opened.
-- $1 shard int, $2 position bigint, $3 positions of opened data bigint[], $4 opened data text[] (JSON)
WITH expected AS MATERIALIZED (
    SELECT DISTINCT ON (account_id, kind, id)
           account_id, kind, id, data ->> 'name' AS name, data ->> 'status' AS status,
           projections.read_text(data -> 'owner', {{name_chars}}) AS owner,
           CASE WHEN data ->> 'type' IN ({{model_types}}) THEN data ->> 'type' END AS type,
           projections.read_text(data -> 'language', {{name_chars}}) AS language,
           projections.read_text(data -> 'version', {{name_chars}}) AS version,
           projections.read_text(data -> 'reason', {{name_chars}}) AS reason,
           projections.read_moment(data -> 'deployed_at') AS deployed_at, position
    FROM (
        SELECT m.account_id COLLATE "C" AS account_id, (m.data ->> 'kind') COLLATE "C" AS kind, m.name COLLATE "C" AS id,
               projections.read_object(coalesce(o.data::json, m.data)) AS data, m.position
        FROM meter.events m
        LEFT JOIN unnest($3::bigint[], $4::text[]) AS o (position, data) ON o.position = m.position
        WHERE m.shard = $1 AND m.position <= $2 AND m.type > {{last_usage}} AND m.type = {{item.changed.v1}}
        OFFSET 0  -- so that data are read once for each event, not once for each field
    ) AS e
    ORDER BY account_id, kind, id, position DESC
), removed AS (
    DELETE FROM projections.items s
    WHERE s.shard = $1
      AND NOT EXISTS (
          SELECT FROM expected e WHERE e.account_id = s.account_id AND e.kind = s.kind AND e.id = s.id)
    RETURNING 1
), saved AS (
    INSERT INTO projections.items AS t (
        shard, account_id, kind, id, name, status, owner, type, language, version, reason, deployed_at, position)
    SELECT $1, e.account_id, e.kind, e.id, e.name, e.status, e.owner, e.type, e.language, e.version, e.reason, e.deployed_at,
           e.position
    FROM expected e
    LEFT JOIN projections.items s
        ON s.shard = $1 AND s.account_id = e.account_id AND s.kind = e.kind AND s.id = e.id
    WHERE (s.name, s.status, s.owner, s.type, s.language, s.version, s.reason, s.deployed_at, s.position)
          IS DISTINCT FROM (e.name, e.status, e.owner, e.type, e.language, e.version, e.reason, e.deployed_at, e.position)
    ON CONFLICT (shard, account_id, kind, id) DO UPDATE
    SET name = excluded.name, status = excluded.status, owner = excluded.owner, type = excluded.type,
        language = excluded.language, version = excluded.version, reason = excluded.reason,
        deployed_at = excluded.deployed_at, position = excluded.position
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM expected) AS rows, (SELECT count(*) FROM saved WHERE added) AS added,
       (SELECT count(*) FROM saved WHERE NOT added) AS changed, (SELECT count(*) FROM removed) AS removed
