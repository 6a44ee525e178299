-- For one transaction: a long statement is meant, may have room, and is planned for the numbers it is given: a plan for
-- any shard and position takes a hundred rows for a hundred thousand and joins them one by one.
SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('work_mem', '256MB', true), set_config('jit', 'off', true),
       set_config('plan_cache_mode', 'force_custom_plan', true)
