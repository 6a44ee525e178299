-- For one transaction: tables are compared as wholes. Statistics of a shadow table are from before it was filled, and would lead
-- to comparing each row with each.
SELECT set_config('enable_nestloop', 'off', true)
