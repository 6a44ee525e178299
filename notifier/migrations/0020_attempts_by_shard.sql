-- The tries of a letter know its shard, so that they can lie beside it where tables are distributed. A notifier of the version before
-- goes on beside this: its tries have none; the letter's claim finds them all the
-- same, and the list of lines shows such a letter as waiting instead of retrying until it is tried again.
ALTER TABLE notifier.email_attempts ADD COLUMN shard int;
UPDATE notifier.email_attempts t SET shard = e.shard FROM notifier.emails e WHERE e.email_id = t.email_id;
