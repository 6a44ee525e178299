-- Letters that ended long ago lose their bytes, which hold the address and the name. This finds them.
CREATE INDEX emails_with_bytes ON notifier.emails (finished_at) WHERE message IS NOT NULL;
COMMENT ON COLUMN notifier.emails.message IS
    'the bytes that were handed over last; a repeat after a lost reply has the same. They are kept for a time after the end';
