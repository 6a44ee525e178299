-- Events on metering.balances name contacts by ids; the projections keep the addresses and the names, and show them to the notifier.
UPDATE notifier.accounts SET display_name = NULL WHERE display_name IS NOT NULL;
COMMENT ON COLUMN notifier.accounts.display_name IS 'of account.changed.v1 alone; letters take the name from projections.contacts';
COMMENT ON COLUMN notifier.recalled.contact IS
    'the address; the id of the contact as text where no event of now names the address yet';
