-- Everything was read back.
UPDATE notifier.generations SET recalled_at = now() WHERE recalled_at IS NULL
