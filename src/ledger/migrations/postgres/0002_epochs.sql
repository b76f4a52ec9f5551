-- Recvault ledger, schema 2: epochs of the root key, and what a rebuilding from the store alone needs.

-- One row for each life of a root key; the highest one is the present. Older rows stay and hold no key.
CREATE TABLE epochs (
  epoch BIGINT PRIMARY KEY,       -- 1, 2, 3 …
  root_sealed BYTEA NOT NULL,     -- key of the root page, sealed by custody under this epoch's root key; empty once that root is destroyed, and
                                  -- in a vault made before schema 2, where the root key itself seals the root page
  began_at BIGINT NOT NULL,       -- when the turn's transaction committed; immutable
  snapshot TEXT,                  -- the newest snapshot of this epoch that was verified: its name in the store
  snapshot_at BIGINT,             -- when it was verified
  previous_destroyed_at BIGINT,   -- when custody had destroyed the root before this one; null while a turn is not done
  finished_at BIGINT              -- when receipts were completed and older snapshots removed
);
INSERT INTO epochs (epoch, root_sealed, began_at, previous_destroyed_at, finished_at)
  SELECT 1, ''::bytea, created_at, created_at, created_at FROM vault;

-- Who turns: one at a time, held by a lease.
CREATE TABLE turner (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  holder TEXT,                    -- hld_… of the process that turns
  until BIGINT NOT NULL,          -- until when nobody else may
  journaled_to BIGINT NOT NULL DEFAULT 0, -- up to which number audit entries are in the journal, or in a snapshot
  numbered_to BIGINT NOT NULL DEFAULT 0, -- highest epoch number that was ever given here; none is given twice
  settled BIGINT NOT NULL DEFAULT 1,     -- 0 from a rebuilding until a snapshot of what was rebuilt is verified and all other roots are destroyed
  rotated_at BIGINT               -- when all keys of pages were last renewed by a rotation
);
INSERT INTO turner (one, until) VALUES (1, 0);

-- Epoch in which the key of this page was made; of the root page: the epoch whose root key opens it.
ALTER TABLE pages ADD COLUMN epoch BIGINT NOT NULL DEFAULT 1;
-- 1 if an older copy of this page holds a key that must die: the page gets a new key in the next turn.
ALTER TABLE pages ADD COLUMN stale BIGINT NOT NULL DEFAULT 0;
-- A vault made before schema 2 does not know which of its pages a shred has touched.
UPDATE pages SET stale = 1 WHERE level = 0 AND tier <> '~service' AND EXISTS (SELECT 1 FROM fences);
CREATE INDEX pages_stale ON pages (level, parent, id) WHERE stale = 1;
CREATE INDEX pages_by_parent ON pages (parent);

-- A rebuilding reads the entries before their pages; it asks for the references at its commit.
ALTER TABLE key_entries ALTER CONSTRAINT key_entries_page_id_fkey DEFERRABLE;

-- The number of the audit entry of the fence: grows in commit order, whatever the clocks say. Null in fences from before schema 2.
ALTER TABLE fences ADD COLUMN seq BIGINT;
CREATE INDEX fences_by_seq ON fences (seq);

-- The epoch whose turn made older copies of the key store useless for this recording; null until one has. 0: there never was a key.
ALTER TABLE receipts ADD COLUMN epoch BIGINT;
UPDATE receipts SET epoch = 0 WHERE recording_id IN (SELECT recording_id FROM fences WHERE fingerprint IS NULL);
CREATE INDEX receipts_uncovered ON receipts (issued_at) WHERE epoch IS NULL;
CREATE INDEX receipts_fenced ON receipts (epoch, id) WHERE state = 'fenced';

-- What has changed since it was last written to the journal in the store.
CREATE TABLE unjournaled (
  kind TEXT NOT NULL,             -- recording | token | policy
  id TEXT NOT NULL,               -- rec_…, tok_…, or a policy's digest
  mark BIGINT NOT NULL,           -- grows with each change, so that a change during a writing is not forgotten
  since BIGINT NOT NULL,          -- when it first changed
  PRIMARY KEY (kind, id)
);
-- Receipts from before schema 2 did not wait for a turn; they are signed again after the next one.
UPDATE receipts SET state = 'fenced' WHERE epoch IS NULL;
