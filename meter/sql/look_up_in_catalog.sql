-- For one transaction: names mean what Postgres means by them, not what somebody has put in front.
SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)
