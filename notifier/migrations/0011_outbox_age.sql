-- Since when a message waits to be published: for the metric of the outbox's age. What waits already counts from now on.
ALTER TABLE notifier.outbox ADD COLUMN queued_at timestamptz NOT NULL DEFAULT now();
