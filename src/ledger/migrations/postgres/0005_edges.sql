-- Recvault ledger, schema 5: which database this is.

-- dbi_…: random, given when the vault is made or rebuilt here. Custody names the database that owns its roots by it. A copy of the database has it too.
ALTER TABLE vault ADD COLUMN database_id TEXT NOT NULL DEFAULT '';
