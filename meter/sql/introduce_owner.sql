-- Where Citus is: make credit_owner known to all nodes, for which Citus asks for a superuser. It does so for the owner of a table that
-- it distributes; from then on credit_owner distributes the others by itself.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        CREATE TABLE public.metering_introduction (node int);
        ALTER TABLE public.metering_introduction OWNER TO credit_owner;
        PERFORM create_reference_table('public.metering_introduction');
        DROP TABLE public.metering_introduction;
    END IF;
END
$$
