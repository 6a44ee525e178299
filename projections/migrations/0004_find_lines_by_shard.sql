-- A rebuild and a check compare shard by shard; without this, each shard costs a look at the lines of all. Cheap for the
-- fold: the entries of a shard follow one another, and a line that only grows keeps its entry while its page has room.
CREATE INDEX usage_days_shard ON projections.usage_days (shard);
