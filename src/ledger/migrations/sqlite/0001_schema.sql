-- Recvault ledger, schema 1. Ids are text, times are integer milliseconds UTC. Nothing here is personal data in the clear.

-- The one vault this ledger belongs to.
CREATE TABLE vault (
  id TEXT PRIMARY KEY,            -- vlt_…; part of every associated data; immutable
  created_at INTEGER NOT NULL      -- immutable
);

-- Policy files that were in force here, so that a pinned recording can always be judged by its own.
CREATE TABLE policies (
  digest TEXT PRIMARY KEY,        -- SHA-256 of the file, lower-case hex; immutable
  version TEXT NOT NULL UNIQUE,   -- as the file names itself; the same version is never another file
  source TEXT NOT NULL,           -- the file, byte for byte
  in_force_at INTEGER NOT NULL     -- when a process first ran with it
);

-- The catalogue: one row a recording, for ever; a shredded one keeps its row so that it is recognised when announced again.
CREATE TABLE recordings (
  id TEXT PRIMARY KEY,            -- rec_…, derived from vault, account and source id; immutable
  state TEXT NOT NULL,            -- announced | absent | failed | sealed | shredded
  account TEXT NOT NULL,          -- AC…; immutable
  source_sid TEXT NOT NULL,       -- RE…; immutable
  call_sid TEXT,                  -- CA…, where told
  conference_sid TEXT,            -- CF…, where told
  source TEXT,                    -- RecordingSource as told, an open set
  source_status TEXT NOT NULL,    -- RecordingStatus as last told, by rank
  source_rank INTEGER NOT NULL,    -- 0 in-progress or unknown, 1 absent or failed, 2 completed; never falls
  error_code INTEGER,              -- ErrorCode as told; 16101 too short, 16102 silent
  duration_s INTEGER,              -- whole seconds, as told
  channels INTEGER,                -- 1 or 2, as told
  tier TEXT NOT NULL,             -- chosen by classification when first announced
  policy_version TEXT NOT NULL,   -- policy in force at collection; immutable
  policy_digest TEXT NOT NULL,    -- its digest; immutable
  started_at INTEGER,              -- RecordingStartTime, where told
  announced_at INTEGER NOT NULL,   -- when the vault first heard of it; immutable
  sealed_at INTEGER,               -- when ciphertext and key entry were both there
  shredded_at INTEGER              -- when it was fenced
);
CREATE INDEX recordings_by_time ON recordings (announced_at, id);
CREATE INDEX recordings_by_state ON recordings (state, announced_at, id);
CREATE INDEX recordings_by_tier ON recordings (tier, announced_at, id);
CREATE INDEX recordings_by_account ON recordings (account, announced_at, id);

-- Pages of the key tree (keyring/page.rs). The sealed bytes are useless without the root key.
CREATE TABLE pages (
  id TEXT PRIMARY KEY,            -- pag_…; immutable
  tier TEXT NOT NULL,             -- tier whose keys it holds; ~root and ~service are the vault's own; immutable
  level INTEGER NOT NULL,          -- 0 leaf … 3 top branch, 4 root page; immutable
  generation INTEGER NOT NULL,     -- grows by one with each writing; the guard against a second writer
  parent TEXT,                    -- page that holds this page's key
  parent_slot INTEGER,             -- and on which slot
  used INTEGER NOT NULL,           -- slots handed out, 0 to 128; never falls
  filler TEXT,                    -- process that is filling this leaf
  filler_until INTEGER,            -- until when nobody else may
  sealed BLOB NOT NULL           -- nonce, ciphertext, tag: 4124 bytes
);
CREATE INDEX pages_to_fill ON pages (tier, level, used);

-- Where the record key of a recording's leg is. The row goes with the key.
CREATE TABLE key_entries (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  leg TEXT NOT NULL,              -- all
  page_id TEXT NOT NULL REFERENCES pages (id),
  slot INTEGER NOT NULL,           -- 0 to 127
  fingerprint TEXT NOT NULL,      -- public name of the key; a substituted key does not match it
  PRIMARY KEY (recording_id, leg)
);

-- Sealed objects in the store.
CREATE TABLE artefacts (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  leg TEXT NOT NULL,
  artefact TEXT NOT NULL,         -- audio
  object_id TEXT NOT NULL UNIQUE, -- obj_…: the object's name in the store
  plain_len INTEGER NOT NULL,      -- bytes
  sealed_len INTEGER NOT NULL,     -- bytes
  sealed_sha256 TEXT NOT NULL,    -- of the ciphertext, lower-case hex
  segment INTEGER NOT NULL,        -- sealed segment length, 65536 or 16384
  content_type TEXT NOT NULL,
  PRIMARY KEY (recording_id, leg, artefact)
);

-- The durable mark that a recording's keys are dead. Rows are never changed or removed.
CREATE TABLE fences (
  recording_id TEXT PRIMARY KEY REFERENCES recordings (id),
  fenced_at INTEGER NOT NULL,
  receipt_id TEXT NOT NULL,       -- rcp_…
  fingerprint TEXT                -- of the destroyed key; null if none ever was
);
CREATE INDEX fences_by_time ON fences (fenced_at);

-- Proof of each shred.
CREATE TABLE receipts (
  id TEXT PRIMARY KEY,            -- rcp_…
  recording_id TEXT NOT NULL UNIQUE REFERENCES recordings (id),
  state TEXT NOT NULL,            -- fenced | closed
  jws TEXT NOT NULL,              -- signed, compact form; replaced when the state moves on
  issued_at INTEGER NOT NULL
);

-- Work to do for recordings, held by leases: due_at is pushed forward while somebody holds it.
CREATE TABLE work (
  kind TEXT NOT NULL,             -- fetch | remove
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  state TEXT NOT NULL,            -- due | dead
  due_at INTEGER NOT NULL,         -- not before then; for leased work, when the lease ends
  holder TEXT,                    -- hld_… of the lease
  attempts INTEGER NOT NULL,       -- leases taken so far
  last_error TEXT,                -- why the last attempt failed; never personal data
  enqueued_at INTEGER NOT NULL,
  PRIMARY KEY (kind, recording_id)
);
CREATE INDEX work_due ON work (state, due_at);

-- Bearer tokens, as hashes.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,            -- tok_…
  hash TEXT NOT NULL UNIQUE,      -- SHA-256 of the token's 256 random bits, lower-case hex
  label TEXT NOT NULL,            -- operator's own name for it
  roles TEXT NOT NULL,            -- JSON array
  accounts TEXT NOT NULL,         -- JSON array of AC…; empty: all
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
);

-- Grants given. A row is a claim, not a right: each opening is decided again.
CREATE TABLE grants (
  id TEXT PRIMARY KEY,            -- grt_…
  hash TEXT NOT NULL UNIQUE,      -- SHA-256 of the grant token, lower-case hex
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  token_id TEXT NOT NULL REFERENCES tokens (id),
  purpose TEXT NOT NULL,
  justified INTEGER NOT NULL,      -- 1 if a justification was given with the request
  policy_digest TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);

-- The audit log. Rows are never changed or removed; ids only.
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,         -- 1, 2, 3 … without gaps, in commit order
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,            -- tok_… | operator | vault
  event TEXT NOT NULL,
  recording_id TEXT,
  details TEXT NOT NULL           -- JSON object
);

-- The number of the last entry; locked by whoever writes the next.
CREATE TABLE audit_head (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL
);
INSERT INTO audit_head (one, seq) VALUES (1, 0);

-- The log and the fences only grow, whoever is connected.
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
-- REPLACE deletes without asking the trigger for deletes.
CREATE TRIGGER audit_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
  BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER fences_unchanged BEFORE UPDATE ON fences BEGIN SELECT RAISE(ABORT, 'fences only grow'); END;
CREATE TRIGGER fences_kept BEFORE DELETE ON fences BEGIN SELECT RAISE(ABORT, 'fences only grow'); END;
CREATE TRIGGER fences_not_replaced BEFORE INSERT ON fences WHEN EXISTS (SELECT 1 FROM fences WHERE recording_id = NEW.recording_id)
  BEGIN SELECT RAISE(ABORT, 'fences only grow'); END;
