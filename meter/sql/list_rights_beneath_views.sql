-- What roles lack for the views that they may read, where Citus has distributed the tables: a view is read on the nodes with the
-- reader's own rights, not with its owner's. The statements: schemas, then the columns and functions beneath each view, and no others.
WITH RECURSIVE ours AS (
    SELECT oid, nspname AS name FROM pg_namespace WHERE nspname IN ('meter', 'projections', 'notifier')
), shown AS (
    SELECT g.grantee, c.oid AS view
    FROM pg_class c JOIN ours n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(c.relacl) AS g
    WHERE c.relkind = 'v' AND g.privilege_type = 'SELECT' AND g.grantee <> c.relowner
    UNION
    SELECT s.grantee, c.oid
    FROM shown s
    JOIN pg_rewrite r ON r.ev_class = s.view
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'v'
), beneath AS (
    SELECT DISTINCT s.grantee, d.refclassid AS class, d.refobjid AS id, d.refobjsubid AS number
    FROM shown s
    JOIN pg_rewrite r ON r.ev_class = s.view
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
), columns AS (
    SELECT b.grantee, n.name AS schema, format('%I.%I', n.name, c.relname) AS name,
           string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS names
    FROM beneath b
    JOIN pg_class c ON b.class = 'pg_class'::regclass AND c.oid = b.id AND c.relkind = 'r'
    JOIN ours n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = b.number AND b.number > 0
    GROUP BY 1, 2, 3
), functions AS (
    SELECT b.grantee, n.name AS schema, format('%I.%I(%s)', n.name, p.proname, oidvectortypes(p.proargtypes)) AS name
    FROM beneath b
    JOIN pg_proc p ON b.class = 'pg_proc'::regclass AND p.oid = b.id
    JOIN ours n ON n.oid = p.pronamespace
)
SELECT statement FROM (
    SELECT DISTINCT 1 AS step, format('GRANT USAGE ON SCHEMA %I TO %I', schema, r.rolname) AS statement
    FROM (SELECT grantee, schema FROM columns UNION SELECT grantee, schema FROM functions) AS s JOIN pg_roles r ON r.oid = s.grantee
    UNION ALL
    SELECT 2, format('GRANT SELECT (%s) ON %s TO %I', names, name, r.rolname) FROM columns JOIN pg_roles r ON r.oid = grantee
    UNION ALL
    SELECT 3, format('GRANT EXECUTE ON FUNCTION %s TO %I', name, r.rolname) FROM functions JOIN pg_roles r ON r.oid = grantee
) AS s
ORDER BY step, statement
