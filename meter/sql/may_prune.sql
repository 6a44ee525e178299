-- Whether this role may prune, and its name.
SELECT coalesce(has_function_privilege(to_regprocedure('meter.prune_rejections(int,text,bigint,bigint)'), 'EXECUTE'), false) AS may,
       current_user AS name
