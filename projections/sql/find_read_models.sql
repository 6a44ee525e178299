-- Whether the tables are there and shards were set up.
SELECT to_regclass('projections.cursors') IS NOT NULL AND to_regclass('meter.shards') IS NOT NULL
