-- Whether the addresses and names of an account were forgotten. A fold of the version before that still runs leaves it false, and
-- stops at the event that would make it true, which it does not know.
ALTER TABLE projections.account_states ADD COLUMN forgotten boolean NOT NULL DEFAULT false;
ALTER TABLE projections.rebuilt_accounts ADD COLUMN forgotten boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN projections.account_states.forgotten IS 'addresses and names of the account were forgotten, those of later events as well';
