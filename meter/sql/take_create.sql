-- Before anything else is given: no role may make anything in the schemas any more, and no trigger on their tables.
DO $$
DECLARE
    roles CONSTANT text := 'PUBLIC, credit_meter, credit_projections, credit_notifier, credit_support, credit_reader, credit_console, credit_pruner';
    schema text;
BEGIN
    FOR schema IN SELECT nspname FROM pg_namespace WHERE nspname IN ('meter', 'projections', 'notifier') LOOP
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM %s', schema, roles);
        EXECUTE format('REVOKE TRIGGER, REFERENCES ON ALL TABLES IN SCHEMA %I FROM %s', schema, roles);
    END LOOP;
END
$$
