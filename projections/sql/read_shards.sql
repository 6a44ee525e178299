-- How many shards there are: which one an account is in follows from that.
SELECT projections.shards()
