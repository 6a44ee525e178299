"""What the three services share: Kafka, Postgres, the life of a process, settings, errors, the outbox."""
