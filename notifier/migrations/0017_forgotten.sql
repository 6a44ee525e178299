-- Whether addresses and names of an account were forgotten: what comes late is not kept. A notifier of the version before goes on beside
-- this, and leaves it false.
ALTER TABLE notifier.accounts ADD COLUMN forgotten boolean NOT NULL DEFAULT false;
