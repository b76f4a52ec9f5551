-- Recvault ledger, schema 6: which vault is about to be made here.

-- At most one row: the ids of a vault that `recvault init` began to make. It is written before custody is asked, so that an interrupted `init` knows its
-- own root there, and two at once make one vault. Travels in no snapshot.
CREATE TABLE intended (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,               -- vlt_…; the vault's id when it is made
  database_id TEXT NOT NULL,      -- dbi_…; this database's id when it is made
  created_at INTEGER NOT NULL    -- when it was begun
);
