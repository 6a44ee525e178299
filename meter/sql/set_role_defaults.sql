-- Settings that sessions of the roles start with in this database: names are looked up in pg_catalog alone, so that nobody can
-- put a table or function of the same name in front.
-- Roles of people and readers also end a transaction that stands idle for a minute: it keeps the locks of what it read, behind
-- which a migration and then all else waits, and old rows from being removed. A session may set that otherwise.
-- Where Citus is, they read the catalogue without the filter by which it hides the parts of tables: with it, a driver's question
-- about a type takes seconds.
-- Only where they differ: two setups must not write the same row at once.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT r.rolname AS role, d.setting, d.value
        FROM pg_roles r
        JOIN (VALUES ('search_path', 'pg_catalog', true), ('idle_in_transaction_session_timeout', '60000', false),
                     ('citus.override_table_visibility', 'off', true)) AS d (setting, value, of_services)
            ON d.of_services AND r.rolname IN ('credit_owner', 'credit_meter', 'credit_projections', 'credit_notifier')
            OR r.rolname IN ('credit_support', 'credit_reader', 'credit_console', 'credit_pruner')
        WHERE (d.setting NOT LIKE 'citus.%' OR EXISTS (SELECT FROM pg_extension WHERE extname = 'citus'))
          AND NOT EXISTS (
              SELECT FROM pg_db_role_setting s JOIN pg_database b ON b.oid = s.setdatabase
              WHERE s.setrole = r.oid AND b.datname = current_database() AND d.setting || '=' || d.value = ANY (s.setconfig))
    LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET %s = %s', wanted.role, current_database(), wanted.setting, wanted.value);
    END LOOP;
END
$$
