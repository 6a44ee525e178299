-- How many transactions this database has ended.
SELECT xact_commit + xact_rollback AS ended FROM pg_stat_database WHERE datname = current_database()
