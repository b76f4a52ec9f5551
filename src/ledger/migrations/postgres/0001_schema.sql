-- Recvault ledger, schema 1. Ids are text, times are integer milliseconds UTC. Nothing here is personal data in the clear.

-- The one vault this ledger belongs to.
CREATE TABLE vault (
  id TEXT PRIMARY KEY,            -- vlt_…; part of every associated data; immutable
  created_at BIGINT NOT NULL      -- immutable
);

-- Policy files that were in force here, so that a pinned recording can always be judged by its own.
CREATE TABLE policies (
  digest TEXT PRIMARY KEY,        -- SHA-256 of the file, lower-case hex; immutable
  version TEXT NOT NULL UNIQUE,   -- as the file names itself; the same version is never another file
  source TEXT NOT NULL,           -- the file, byte for byte
  in_force_at BIGINT NOT NULL     -- when a process first ran with it
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
  source_rank BIGINT NOT NULL,    -- 0 in-progress or unknown, 1 absent or failed, 2 completed; never falls
  error_code BIGINT,              -- ErrorCode as told; 16101 too short, 16102 silent
  duration_s BIGINT,              -- whole seconds, as told
  channels BIGINT,                -- 1 or 2, as told
  tier TEXT NOT NULL,             -- chosen by classification when first announced
  policy_version TEXT NOT NULL,   -- policy in force at collection; immutable
  policy_digest TEXT NOT NULL,    -- its digest; immutable
  started_at BIGINT,              -- RecordingStartTime, where told
  announced_at BIGINT NOT NULL,   -- when the vault first heard of it; immutable
  sealed_at BIGINT,               -- when ciphertext and key entry were both there
  shredded_at BIGINT              -- when it was fenced
);
CREATE INDEX recordings_by_time ON recordings (announced_at, id);
CREATE INDEX recordings_by_state ON recordings (state, announced_at, id);
CREATE INDEX recordings_by_tier ON recordings (tier, announced_at, id);
CREATE INDEX recordings_by_account ON recordings (account, announced_at, id);

-- Pages of the key tree (keyring/page.rs). The sealed bytes are useless without the root key.
CREATE TABLE pages (
  id TEXT PRIMARY KEY,            -- pag_…; immutable
  tier TEXT NOT NULL,             -- tier whose keys it holds; ~root and ~service are the vault's own; immutable
  level BIGINT NOT NULL,          -- 0 leaf … 3 top branch, 4 root page; immutable
  generation BIGINT NOT NULL,     -- grows by one with each writing; the guard against a second writer
  parent TEXT,                    -- page that holds this page's key
  parent_slot BIGINT,             -- and on which slot
  used BIGINT NOT NULL,           -- slots handed out, 0 to 128; never falls
  filler TEXT,                    -- process that is filling this leaf
  filler_until BIGINT,            -- until when nobody else may
  sealed BYTEA NOT NULL           -- nonce, ciphertext, tag: 4124 bytes
);
CREATE INDEX pages_to_fill ON pages (tier, level, used);

-- Where the record key of a recording's leg is. The row goes with the key.
CREATE TABLE key_entries (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  leg TEXT NOT NULL,              -- all
  page_id TEXT NOT NULL REFERENCES pages (id),
  slot BIGINT NOT NULL,           -- 0 to 127
  fingerprint TEXT NOT NULL,      -- public name of the key; a substituted key does not match it
  PRIMARY KEY (recording_id, leg)
);

-- Sealed objects in the store.
CREATE TABLE artefacts (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  leg TEXT NOT NULL,
  artefact TEXT NOT NULL,         -- audio
  object_id TEXT NOT NULL UNIQUE, -- obj_…: the object's name in the store
  plain_len BIGINT NOT NULL,      -- bytes
  sealed_len BIGINT NOT NULL,     -- bytes
  sealed_sha256 TEXT NOT NULL,    -- of the ciphertext, lower-case hex
  segment BIGINT NOT NULL,        -- sealed segment length, 65536 or 16384
  content_type TEXT NOT NULL,
  PRIMARY KEY (recording_id, leg, artefact)
);

-- The durable mark that a recording's keys are dead. Rows are never changed or removed.
CREATE TABLE fences (
  recording_id TEXT PRIMARY KEY REFERENCES recordings (id),
  fenced_at BIGINT NOT NULL,
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
  issued_at BIGINT NOT NULL
);

-- Work to do for recordings, held by leases: due_at is pushed forward while somebody holds it.
CREATE TABLE work (
  kind TEXT NOT NULL,             -- fetch | remove
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  state TEXT NOT NULL,            -- due | dead
  due_at BIGINT NOT NULL,         -- not before then; for leased work, when the lease ends
  holder TEXT,                    -- hld_… of the lease
  attempts BIGINT NOT NULL,       -- leases taken so far
  last_error TEXT,                -- why the last attempt failed; never personal data
  enqueued_at BIGINT NOT NULL,
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
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT
);

-- Grants given. A row is a claim, not a right: each opening is decided again.
CREATE TABLE grants (
  id TEXT PRIMARY KEY,            -- grt_…
  hash TEXT NOT NULL UNIQUE,      -- SHA-256 of the grant token, lower-case hex
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  token_id TEXT NOT NULL REFERENCES tokens (id),
  purpose TEXT NOT NULL,
  justified BIGINT NOT NULL,      -- 1 if a justification was given with the request
  policy_digest TEXT NOT NULL,
  issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);

-- The audit log. Rows are never changed or removed; ids only.
CREATE TABLE audit (
  seq BIGINT PRIMARY KEY,         -- 1, 2, 3 … without gaps, in commit order
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,            -- tok_… | operator | vault
  event TEXT NOT NULL,
  recording_id TEXT,
  details TEXT NOT NULL           -- JSON object
);

-- The number of the last entry; locked by whoever writes the next.
CREATE TABLE audit_head (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  seq BIGINT NOT NULL
);
INSERT INTO audit_head (one, seq) VALUES (1, 0);

-- The log and the fences only grow, whoever is connected.
CREATE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME; END $$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
CREATE TRIGGER fences_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON fences FOR EACH STATEMENT EXECUTE FUNCTION only_grows();

-- SQLite's json_each takes text; with this one the same query text does on PostgreSQL.
CREATE FUNCTION json_each(document text) RETURNS TABLE (key text, value json) LANGUAGE sql IMMUTABLE STRICT
  AS $$ SELECT e.key, e.value FROM pg_catalog.json_each(document::json) AS e $$;
