-- Names that an account used on a day of UTC, as far as they have lines: the first 1,000 by position; what is used of others goes to
-- one line. Else whoever may send usage fills the read models with names. Filled from the lines there are: a day that had more names
-- already keeps them until `projections rebuild`. Projections of the version before go on, and note no names meanwhile.
CREATE TABLE projections.day_names (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    kind smallint NOT NULL,
    item text COLLATE "C" NOT NULL,
    PRIMARY KEY (shard, account_id, day, kind, item)
);
INSERT INTO projections.day_names (shard, account_id, day, kind, item)
SELECT DISTINCT shard, account_id, (slot AT TIME ZONE 'UTC')::date, kind, item FROM projections.usage_slots;
COMMENT ON TABLE projections.day_names IS 'names with lines of their own in usage of the day; what is beyond them is in the line other';

-- Where a rebuild collects them.
CREATE UNLOGGED TABLE projections.rebuilt_names (LIKE projections.day_names INCLUDING INDEXES);
