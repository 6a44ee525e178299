-- For one transaction: room for the aggregates of a batch, and no compilation of statements that run for milliseconds.
SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)
