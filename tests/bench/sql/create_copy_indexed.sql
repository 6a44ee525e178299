-- A table like meter.events with its constraints and indexes, without its triggers.
CREATE TABLE copy_indexed (LIKE meter.events INCLUDING ALL)
