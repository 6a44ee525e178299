-- The owner of everything, and the roles of the services and of people. Roles belong to the whole server, so another setup may
-- be making them now. Needs a superuser, or a role that may make roles.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'credit_owner', 'credit_meter', 'credit_projections', 'credit_notifier', 'credit_support', 'credit_reader',
        'credit_console', 'credit_pruner'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I LOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END
$$
