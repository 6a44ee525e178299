-- One rebuild at a time: the transaction holds these rows to its end. Nobody but the role that rebuilds can lock them, while
-- any role could hold an advisory lock. Returns the shards; none while another rebuild has them.
SELECT shard FROM projections.rebuild_shards /*citus WHERE shard = 0 */ FOR UPDATE SKIP LOCKED
