-- What roles lack that may insert into some columns of a table, where Citus has distributed the tables: the node of the row is
-- sent the values of all defaults with it, and wants the right to insert them as well. The statements.
SELECT format('GRANT INSERT (%s) ON %I.%I TO %I', string_agg(quote_ident(d.attname), ', ' ORDER BY d.attnum),
              n.nspname, c.relname, r.rolname) AS statement
FROM (
    SELECT DISTINCT a.attrelid, g.grantee
    FROM pg_attribute a
    CROSS JOIN LATERAL aclexplode(a.attacl) AS g
    WHERE g.privilege_type = 'INSERT'
) AS given
JOIN pg_dist_partition p ON p.logicalrelid = given.attrelid
JOIN pg_class c ON c.oid = given.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute d ON d.attrelid = c.oid AND NOT d.attisdropped AND d.attgenerated = '' AND (d.atthasdef OR d.attidentity <> '')
JOIN pg_roles r ON r.oid = given.grantee
WHERE n.nspname IN ('meter', 'projections', 'notifier')
GROUP BY n.nspname, c.relname, r.rolname
ORDER BY 1
