-- Whether this role may prune, and its name. Where the tables are missing it fails, and says so.
SELECT has_any_column_privilege('meter.batches', 'SELECT')
       AND coalesce(has_function_privilege(to_regprocedure('meter.prune_rejections(int,text,bigint,bigint)'), 'EXECUTE'), false) AS may,
       current_user AS name
