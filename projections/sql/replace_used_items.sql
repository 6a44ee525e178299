-- Replace a shard's used items that differ from what a rebuild collected. Returns how many rows there are then, and how many were
-- added, changed and removed.
-- $1 shard int
WITH expected AS MATERIALIZED (
    SELECT i.account_id, i.kind, i.item, i.deployment, i.first_used, coalesce(i.told_at, 0) AS position,
           projections.read_text(e.data -> 'hardware', {{name_chars}}) AS hardware,
           projections.read_whole(e.data -> 'replicas', {{most_size}})::int AS replicas,
           round(projections.read_number(e.data -> 'cpus', {{most_size}}), 6) AS cpus,
           round(projections.read_number(e.data -> 'memory_gb', {{most_size}}), 6) AS memory_gb,
           projections.read_text(e.data -> 'language', {{name_chars}}) AS language
    FROM (
        SELECT account_id, kind, item, deployment, min(slot) AS first_used, max(told_at) AS told_at
        FROM projections.rebuilt_slots
        WHERE shard = $1 AND events > 0 AND kind <= {{last_usage}}
        GROUP BY account_id, kind, item, deployment
    ) AS i
    LEFT JOIN LATERAL (
        SELECT projections.read_object(l.data) AS data FROM meter.events l
        WHERE l.shard = $1 AND l.position = i.told_at
        OFFSET 0
    ) AS e ON i.told_at IS NOT NULL
), removed AS (
    DELETE FROM projections.used_items s
    WHERE s.shard = $1
      AND NOT EXISTS (
          SELECT FROM expected e
          WHERE e.account_id = s.account_id AND e.kind = s.kind AND e.item = s.item AND e.deployment = s.deployment)
    RETURNING 1
), saved AS (
    INSERT INTO projections.used_items AS t (
        shard, account_id, kind, item, deployment, first_used, hardware, replicas, cpus, memory_gb, language, position)
    SELECT $1, e.account_id, e.kind, e.item, e.deployment, e.first_used, e.hardware, e.replicas, e.cpus, e.memory_gb,
           e.language, e.position
    FROM expected e
    LEFT JOIN projections.used_items s
        ON s.shard = $1 AND s.account_id = e.account_id AND s.kind = e.kind AND s.item = e.item
           AND s.deployment = e.deployment
    WHERE (s.first_used, s.hardware, s.replicas, s.cpus, s.memory_gb, s.language, s.position)
          IS DISTINCT FROM (e.first_used, e.hardware, e.replicas, e.cpus, e.memory_gb, e.language, e.position)
    ON CONFLICT (shard, account_id, kind, item, deployment) DO UPDATE
    SET first_used = excluded.first_used, hardware = excluded.hardware, replicas = excluded.replicas, cpus = excluded.cpus,
        memory_gb = excluded.memory_gb, language = excluded.language, position = excluded.position
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM expected) AS rows, (SELECT count(*) FROM saved WHERE added) AS added,
       (SELECT count(*) FROM saved WHERE NOT added) AS changed, (SELECT count(*) FROM removed) AS removed
