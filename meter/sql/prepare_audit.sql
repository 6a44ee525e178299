-- For one transaction: plans that do not depend on statistics. Every chunk goes along the indexes, in their order.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('enable_memoize', 'off', true), set_config('work_mem', '64MB', true),
       set_config('jit', 'off', true)
