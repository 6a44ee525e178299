-- Let new shards go on where the shard stands that their accounts came from: positions, cursors, lines in force, generations.
-- $1 shards before int, $2 shards now int
WITH new AS (
    SELECT n AS shard, n % $1 AS origin FROM generate_series($1::int, $2::int - 1) AS n
), positions AS (
    UPDATE meter.shards s SET next_position = o.next_position
    FROM new JOIN meter.shards o ON o.shard = new.origin WHERE s.shard = new.shard
), folded AS (
    UPDATE projections.cursors c SET position = o.position
    FROM new JOIN projections.cursors o ON o.shard = new.origin WHERE c.shard = new.shard AND c.projection = o.projection
), usage_starts AS (
    INSERT INTO projections.usage_starts (shard, position)
    SELECT new.shard, o.position FROM new JOIN projections.usage_starts o ON o.shard = new.origin
), days AS (
    -- Days of usage go with their accounts, and are added up as far as they were.
    INSERT INTO projections.usage_days_summed AS d (shard, summed, target, upto, position)
    SELECT new.shard, o.summed, o.target, o.upto, o.position FROM new JOIN projections.usage_days_summed o ON o.shard = new.origin
    ON CONFLICT (shard) DO UPDATE
    SET summed = excluded.summed, target = excluded.target, upto = excluded.upto, position = excluded.position
), published AS (
    UPDATE projections.outbox_shards s SET topic_id = o.topic_id
    FROM new JOIN projections.outbox_shards o ON o.shard = new.origin WHERE s.shard = new.shard
), heard AS (
    UPDATE notifier.cursors c SET topic_id = o.topic_id
    FROM new JOIN notifier.cursors o ON o.shard = new.origin WHERE c.shard = new.shard AND c.topic = o.topic
), lines AS (
    INSERT INTO notifier.thresholds (shard, position, banner, email, recorded_at)
    SELECT new.shard, o.position, o.banner, o.email, o.recorded_at FROM new JOIN notifier.thresholds o ON o.shard = new.origin
), generations AS (
    INSERT INTO notifier.generations (shard, generation, from_position, recalled_at)
    SELECT new.shard, o.generation, o.from_position, o.recalled_at FROM new JOIN notifier.generations o ON o.shard = new.origin
)
UPDATE meter.topics SET partitions = $2
