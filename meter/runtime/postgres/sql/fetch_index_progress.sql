-- How far the building of an index is in this database; no row while none is built.
SELECT phase, coalesce(100 * blocks_done / nullif(blocks_total, 0), 100 * tuples_done / nullif(tuples_total, 0)) AS percent
FROM pg_stat_progress_create_index WHERE datname = current_database();
