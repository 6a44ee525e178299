-- What the roles of services and people own in this database: nothing, because nobody may make anything. Large objects,
-- default privileges and temporary tables are left out: every role has its own, and none of them runs with the rights of others.
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS what, r.rolname AS owner
FROM pg_shdepend d
JOIN pg_roles r ON r.oid = d.refobjid
JOIN pg_database b ON b.oid = d.dbid AND b.datname = current_database()
LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND c.relpersistence IS DISTINCT FROM 't'
  AND d.classid NOT IN ('pg_largeobject'::regclass, 'pg_largeobject_metadata'::regclass, 'pg_default_acl'::regclass)
  AND NOT (d.classid = 'pg_type'::regclass
           AND EXISTS (SELECT FROM pg_type t WHERE t.oid = d.objid AND pg_is_other_temp_schema(t.typnamespace)))
  AND r.rolname IN ('credit_meter', 'credit_projections', 'credit_notifier', 'credit_support', 'credit_reader', 'credit_console', 'credit_pruner')
ORDER BY 1
