-- Whether the views are there that the console reads.
SELECT to_regclass('notifier.letter_history') IS NOT NULL AND to_regclass('projections.runway') IS NOT NULL
