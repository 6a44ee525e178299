-- Records that the Go peer has taken.
SELECT sum(usage_offset)::bigint FROM peer.shards
