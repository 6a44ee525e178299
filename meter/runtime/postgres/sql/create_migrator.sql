-- Who migrates: one row, which nobody but the owner can write. Any role can hold an advisory lock, and would keep all
-- others away.
CREATE TABLE IF NOT EXISTS public.metering_migrator (one boolean PRIMARY KEY DEFAULT true CHECK (one), pid int)
