-- Sums of micro-units that stay BIGINT. sum(bigint) counts in numeric: over a hundred thousand groups that is a quarter of
-- a rebuild's work. Like its cast back to bigint, this one fails rather than wrap around.
CREATE AGGREGATE projections.total (bigint) (sfunc = int8pl, stype = bigint, initcond = '0');
