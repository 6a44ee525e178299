-- Items of the catalogue that differ from what their newest events tell. Owners are personal data: a hash shows whether they agree, and hides
-- them. Those of an account that is forgotten further on than usage has come are gone from the log alone, and are not looked at.
-- $1 shard int, $2 position bigint,
-- $3 accounts text[], $4 kinds text[], $5 ids text[], $6 names text[], $7 statuses text[], $8 owners text[], $9 types text[],
-- $10 languages text[], $11 versions text[], $12 reasons text[], $13 deployed_at timestamptz[], $14 positions bigint[]
WITH leaving AS MATERIALIZED (
    SELECT account_id COLLATE "C" AS account_id FROM meter.events
    WHERE shard = $1 AND position > $2 AND type > {{last_usage}} AND type = {{account.forgotten.v1}}
), expected AS (
    SELECT account_id COLLATE "C" AS account_id, kind COLLATE "C" AS kind, id COLLATE "C" AS id, name, status, md5(owner) AS owner, type,
           language, version, reason, deployed_at, position
    FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
                $13::timestamptz[], $14::bigint[])
         AS e (account_id, kind, id, name, status, owner, type, language, version, reason, deployed_at, position)
), stored AS (
    SELECT account_id, kind, id, name, status, md5(owner) AS owner, type, language, version, reason, deployed_at, position
    FROM projections.items
    WHERE shard = $1
)
SELECT account_id, concat_ws(' ', 'item', kind, id) AS what, to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e USING (account_id, kind, id)
WHERE (s.name, s.status, s.type, s.language, s.version, s.reason, s.deployed_at, s.position)
      IS DISTINCT FROM (e.name, e.status, e.type, e.language, e.version, e.reason, e.deployed_at, e.position)
   OR s.owner IS DISTINCT FROM e.owner AND account_id NOT IN (SELECT account_id FROM leaving)
ORDER BY 1, 2
