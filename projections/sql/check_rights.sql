-- Whether this role may read the log with the states folded from it, and what the notifier has said.
SELECT bool_and(readable) FILTER (WHERE schema <> 'notifier') AS log,
       bool_and(readable) FILTER (WHERE schema = 'notifier') AS notices
FROM (
    SELECT n.nspname AS schema,
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) IN (
        ('meter', 'events'), ('meter', 'shards'), ('projections', 'cursors'), ('projections', 'balance_states'),
        ('notifier', 'notices'), ('notifier', 'balances'), ('notifier', 'accounts'), ('notifier', 'banners'),
        ('notifier', 'emails'), ('notifier', 'email_attempts'), ('notifier', 'contacts'), ('notifier', 'told'),
        ('notifier', 'line_states'), ('notifier', 'thresholds'))
) AS relations
