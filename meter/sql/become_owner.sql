-- For the rest of the transaction: no more rights than the owner has.
SET LOCAL ROLE credit_owner
