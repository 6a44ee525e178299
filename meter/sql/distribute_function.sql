-- Give every node a function.
-- $1 function text (with its arguments)
SELECT create_distributed_function($1::text::regprocedure)
