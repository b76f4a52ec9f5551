-- Recvault ledger, schema 7: the journal is a chain, and what a rebuilding went without.

-- Pieces in the journal's chain so far; 0 before the first.
ALTER TABLE turner ADD COLUMN chained BIGINT NOT NULL DEFAULT 0;
-- The newest piece of the chain: its name in the store; null before the first.
ALTER TABLE turner ADD COLUMN chain_name TEXT;
-- SHA-256 of that piece's header, as lower-case hex; null before the first.
ALTER TABLE turner ADD COLUMN chain_digest TEXT;
-- Everything that happened up to this number of the audit log is in the store: a shred up to it is one that a rebuilding finds.
ALTER TABLE turner ADD COLUMN durable_to BIGINT NOT NULL DEFAULT 0;
UPDATE turner SET durable_to = (SELECT seq FROM audit_head);
-- After a rebuilding, until it is settled: what the store holds of numbers up to this was seen by it. 0 otherwise.
ALTER TABLE turner ADD COLUMN rebuilt_to BIGINT NOT NULL DEFAULT 0;

-- What a rebuilding could not find in the store and somebody accepted to go without. Rows are never removed.
CREATE TABLE gaps (
  first BIGINT NOT NULL,          -- number of the first audit entry that may be missing
  last BIGINT NOT NULL,           -- number of the last one
  accepted_at BIGINT NOT NULL,    -- when the rebuilding went on without them
  PRIMARY KEY (first, last)
);

-- Snapshots and journal from before this schema name no position and no predecessor: a new snapshot is due at the first start.
UPDATE epochs SET snapshot = NULL, snapshot_at = NULL;
