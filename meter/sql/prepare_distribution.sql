-- What keeps a table from being distributed by shard, or its parts from moving while services run: tables that are not in the log of
-- changes, triggers, foreign keys, and keys without the shard, which get it as their last column. A table without a primary key gets
-- its whole row as its identity in the log of changes: without one Citus moves none of the tables that lie with it. The statements, in
-- their order; nothing where all is done.
WITH ours AS (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, a.attnum AS shard
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'shard' AND NOT a.attisdropped
    WHERE n.nspname IN ('meter', 'projections', 'notifier') AND c.relkind = 'r'
)
SELECT statement FROM (
    SELECT 0 AS step, format('ALTER TABLE %s SET LOGGED', o.name) AS statement
    FROM ours o JOIN pg_class c ON c.oid = o.oid
    WHERE c.relpersistence = 'u'
    UNION ALL
    SELECT 1, format('DROP TRIGGER %I ON %s', t.tgname, o.name)
    FROM pg_trigger t JOIN ours o ON o.oid = t.tgrelid
    WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 2, format('ALTER TABLE %s DROP CONSTRAINT %I', o.name, k.conname)
    FROM pg_constraint k JOIN ours o ON o.oid = k.conrelid
    WHERE k.contype = 'f'
    UNION ALL
    SELECT 3, format(
        'ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s (%s, shard)', o.name, k.conname,
        CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END,
        (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY c.place)
         FROM unnest(k.conkey) WITH ORDINALITY AS c (number, place)
         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.number))
    FROM pg_constraint k JOIN ours o ON o.oid = k.conrelid
    WHERE k.contype IN ('p', 'u') AND o.shard IS NOT NULL AND o.shard <> ALL (k.conkey)
    UNION ALL
    SELECT 4, format('ALTER TABLE %s REPLICA IDENTITY FULL', o.name)
    FROM ours o JOIN pg_class c ON c.oid = o.oid
    WHERE c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = o.oid AND k.contype = 'p')
) AS s
ORDER BY step, statement
