-- Grants, reversals and account events are few among much usage; the folds and the checks look them up by themselves.
-- Usage, whose codes are 1 to 4, costs nothing here but the look at its type.
CREATE INDEX events_not_usage ON meter.events (shard, position) WHERE type > 4;
