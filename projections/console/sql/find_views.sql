-- Whether the views are there that the console reads.
SELECT to_regclass('notifier.lines_in_force') IS NOT NULL AND to_regclass('projections.exhaustion_history') IS NOT NULL
   AND to_regclass('projections.usage_months_until') IS NOT NULL
   AND to_regclass('projections.forgotten_accounts') IS NOT NULL
