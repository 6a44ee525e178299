-- What only a superuser can give: the database and its schemas closed to PUBLIC, and everything of ours to credit_owner. What
-- a service's role owns stays as it is: it must not become the owner's (find_foreign.sql names it). Runs no code of anybody.
DO $$
DECLARE
    services CONSTANT text[] := ARRAY[
        'credit_meter', 'credit_projections', 'credit_notifier', 'credit_support', 'credit_reader', 'credit_console',
        'credit_pruner'];
    thing text;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT credit_owner TO CURRENT_USER;  -- who made a role may give it to itself, and then give things to it
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO credit_owner', current_database());
    FOREACH thing IN ARRAY services LOOP
        EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I', current_database(), thing);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), thing);
    END LOOP;
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE, CREATE ON SCHEMA public TO credit_owner;

    FOR thing IN
        SELECT format('ALTER SCHEMA %I OWNER TO credit_owner', n.nspname)
        FROM pg_namespace n
        WHERE n.nspname IN ('meter', 'projections', 'notifier')
          AND pg_get_userbyid(n.nspowner) <> ALL (services || 'credit_owner'::text)
        UNION ALL
        SELECT format('ALTER %s %s OWNER TO credit_owner',
                      CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                      c.oid::regclass)
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE (n.nspname IN ('meter', 'projections', 'notifier')
               OR c.oid IN (to_regclass('public.metering_migrations'), to_regclass('public.metering_migrator')))
          AND c.relkind IN ('r', 'p', 'v', 'm')
          AND pg_get_userbyid(c.relowner) <> ALL (services || 'credit_owner'::text)
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO credit_owner', p.oid::regprocedure)
        FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('meter', 'projections', 'notifier')
          AND pg_get_userbyid(p.proowner) <> ALL (services || 'credit_owner'::text)
    LOOP
        EXECUTE thing;
    END LOOP;
END
$$
