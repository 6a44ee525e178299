-- Remove the published states of epochs in which one is wrong: add_missing_steps.sql brings what belongs there.
-- $1 shard int, $2 accounts text[] (of each epoch), $3 resources smallint[], $4 epochs int[]
DELETE FROM projections.exhaustion_steps s
USING unnest($2::text[], $3::smallint[], $4::int[]) AS w (account_id, resource, epoch)
WHERE s.shard = $1 AND s.account_id = w.account_id AND s.resource = w.resource AND s.epoch = w.epoch
RETURNING 1
