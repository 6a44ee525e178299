-- The history of migrations, made by the first run (after IF NOT EXISTS has looked: a plain CREATE would fail the second).
CREATE TABLE IF NOT EXISTS public.metering_migrations (
    package text NOT NULL,
    number int NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package, number)
);
