-- For one transaction: a long statement is meant, and may have room.
SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('work_mem', '256MB', true), set_config('jit', 'off', true)
