-- Settings that sessions of the roles start with in this database: names are looked up in pg_catalog alone, so that nobody can
-- put a table or function of the same name in front.
-- Roles of people and readers also end a transaction that stands idle for a minute: it keeps the locks of what it read, behind
-- which a migration and then all else waits, and old rows from being removed. A session may set that otherwise.
-- Where Citus is, they read the catalogue without the filter by which it hides the parts of tables: with it, a driver's question
-- about a type takes seconds.
-- Only where they differ: two setups must not write the same row at once.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT r.rolname
        FROM pg_roles r
        WHERE r.rolname IN ('credit_owner', 'credit_meter', 'credit_projections', 'credit_notifier', 'credit_support',
                            'credit_reader', 'credit_console', 'credit_pruner')
          AND NOT EXISTS (
              SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
              WHERE s.setrole = r.oid AND d.datname = current_database() AND 'search_path=pg_catalog' = ANY (s.setconfig))
    LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = pg_catalog', name, current_database());
    END LOOP;
    FOR name IN
        SELECT r.rolname
        FROM pg_roles r
        WHERE r.rolname IN ('credit_support', 'credit_reader', 'credit_console', 'credit_pruner')
          AND NOT EXISTS (
              SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
              WHERE s.setrole = r.oid AND d.datname = current_database()
                AND 'idle_in_transaction_session_timeout=60000' = ANY (s.setconfig))
    LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = 60000', name, current_database());
    END LOOP;
    FOR name IN
        SELECT r.rolname
        FROM pg_roles r
        WHERE r.rolname IN ('credit_owner', 'credit_meter', 'credit_projections', 'credit_notifier', 'credit_support',
                            'credit_reader', 'credit_console', 'credit_pruner')
          AND EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')
          AND NOT EXISTS (
              SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
              WHERE s.setrole = r.oid AND d.datname = current_database()
                AND 'citus.override_table_visibility=off' = ANY (s.setconfig))
    LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET citus.override_table_visibility = off', name, current_database());
    END LOOP;
END
$$
