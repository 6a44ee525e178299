-- How far the building of an index is in this database; no row where none is built, or where this role may not see it.
SELECT phase, coalesce(100 * blocks_done / nullif(blocks_total, 0), 100 * tuples_done / nullif(tuples_total, 0)) AS percent
FROM pg_stat_progress_create_index WHERE datname = current_database() AND phase IS NOT NULL;
