-- The rows that a rebuild locks, so that there is one at a time: apart from the cursors, which the fold needs meanwhile.
CREATE TABLE projections.rebuild_shards (shard int PRIMARY KEY);
INSERT INTO projections.rebuild_shards (shard) SELECT DISTINCT shard FROM projections.cursors;
