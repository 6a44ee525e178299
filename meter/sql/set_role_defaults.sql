-- Settings that sessions of the roles start with in this database: names are looked up in pg_catalog alone, so that nobody can
-- put a table or function of the same name in front.
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
END
$$
