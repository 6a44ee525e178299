"""Plumbing of the three services: settings, logs, Postgres, Kafka, health, migrations, outbox."""
