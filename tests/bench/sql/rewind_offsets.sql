-- Let the next records come from the start of the usage topic: the events made here never were in it.
UPDATE meter.shards SET usage_offset = 0
