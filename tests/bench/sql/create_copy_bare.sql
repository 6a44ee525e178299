-- A table with the columns of meter.events and nothing else.
CREATE TABLE copy_bare (LIKE meter.events)
