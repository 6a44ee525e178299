-- Behind prepare_long_read.sql, where two such transactions run at the same time: each has half of the memory.
SELECT set_config('work_mem', '128MB', true)
