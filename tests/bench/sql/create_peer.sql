-- The tables of a plain consumer: events once by id, and a balance per account and resource.
CREATE SCHEMA peer
    CREATE TABLE events (
        event_id uuid PRIMARY KEY,
        account_id text NOT NULL,
        type text NOT NULL,
        resource smallint NOT NULL,
        amount bigint NOT NULL,
        occurred_at timestamptz NOT NULL,
        source text NOT NULL,
        data jsonb NOT NULL
    )
    CREATE TABLE balances (
        account_id text NOT NULL,
        resource smallint NOT NULL,
        consumed bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (account_id, resource)
    )
