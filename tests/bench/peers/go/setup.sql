DROP SCHEMA IF EXISTS peer CASCADE;
CREATE SCHEMA peer;
CREATE TABLE peer.shards (LIKE meter.shards INCLUDING ALL) WITH (fillfactor = 50);
INSERT INTO peer.shards (shard) SELECT generate_series(0, %d - 1);
CREATE TABLE peer.events (LIKE meter.events INCLUDING ALL);
CREATE TABLE peer.batches (LIKE meter.batches INCLUDING ALL);
CREATE TABLE peer.duplicates (LIKE meter.duplicates INCLUDING ALL);
CREATE TABLE peer.rejections (LIKE meter.rejections INCLUDING ALL);
-- What was granted to whom is taken over from the project's own opening of the accounts.
CREATE TABLE peer.balances (LIKE projections.balance_states INCLUDING ALL) WITH (fillfactor = 70);
INSERT INTO peer.balances (account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of, opened, closed, free_only)
SELECT account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of, opened, closed, free_only
FROM projections.balance_states;
CREATE TABLE peer.usage (LIKE projections.usage_totals INCLUDING ALL) WITH (fillfactor = 70);
CREATE TABLE peer.notices (LIKE notifier.notices INCLUDING ALL);
ANALYZE peer.balances;
