-- Whether this role may prune, and its name.
SELECT has_table_privilege('meter.pruned', 'INSERT') AND has_table_privilege('meter.rejections', 'DELETE') AS may, current_user AS name
