-- Take back what PUBLIC and the roles have on everything of ours, before each gets what it needs: so rights that an earlier
-- version gave are gone, and those of columns with them.
DO $$
DECLARE
    schema text;
BEGIN
    FOREACH schema IN ARRAY ARRAY['meter', 'projections', 'notifier'] LOOP
        EXECUTE format(
            'REVOKE ALL ON SCHEMA %1$I FROM PUBLIC, credit_meter, credit_projections, credit_notifier, credit_support, credit_reader, credit_console, credit_pruner;
             REVOKE ALL ON ALL TABLES IN SCHEMA %1$I
                 FROM PUBLIC, credit_meter, credit_projections, credit_notifier, credit_support, credit_reader, credit_console, credit_pruner;
             REVOKE ALL ON ALL SEQUENCES IN SCHEMA %1$I
                 FROM PUBLIC, credit_meter, credit_projections, credit_notifier, credit_support, credit_reader, credit_console, credit_pruner;
             REVOKE ALL ON ALL ROUTINES IN SCHEMA %1$I
                 FROM PUBLIC, credit_meter, credit_projections, credit_notifier, credit_support, credit_reader, credit_console, credit_pruner', schema);
    END LOOP;
    REVOKE ALL ON public.metering_migrations, public.metering_migrator
        FROM PUBLIC, credit_meter, credit_projections, credit_notifier, credit_support, credit_reader, credit_console, credit_pruner;
    ALTER FUNCTION meter.refuse_change() SET search_path = pg_catalog;
    -- Functions that a later migration makes.
    ALTER DEFAULT PRIVILEGES FOR ROLE credit_owner REVOKE ALL ON ROUTINES FROM PUBLIC;
END
$$
