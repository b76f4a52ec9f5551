-- The database's tables, for both databases. Types are PostgreSQL's; SQLite calls BIGINT INTEGER and
-- BYTEA BLOB (db/schema.rs). Ids are text, times are integer milliseconds UTC. No
-- recorded person's number is here in the clear; names of principals, labels and places are. What only one database understands is in the file of its name.

-- The one vault this database belongs to.
CREATE TABLE vault (
  id TEXT PRIMARY KEY,           -- vlt_…; part of every associated data; immutable
  created_at BIGINT NOT NULL,    -- immutable
  -- dbi_…: random, given when the vault is made or rebuilt here. Custody names the database that
  -- owns its roots by it. A copy of the database has it too.
  database_id TEXT NOT NULL DEFAULT ''
);

-- Public keys by which the vault's signatures are checked, for ever. The seed of the present one is on
-- the vault's own key page.
CREATE TABLE signing_keys (
  key_id TEXT PRIMARY KEY,       -- RFC 7638 thumbprint; immutable
  public_key TEXT NOT NULL,      -- `x` of the JWK (RFC 8037): 32 bytes, base64url; immutable
  since BIGINT NOT NULL,         -- when it began to sign; immutable
  retired_at BIGINT              -- when another took its place; null: it signs
);

-- Policy files that were in force here, so that a pinned recording can always be judged by its own.
CREATE TABLE policies (
  digest TEXT PRIMARY KEY,       -- SHA-256 of the file, lower-case hex; immutable
  version TEXT NOT NULL UNIQUE,  -- as the file names itself; the same version is never another file
  source TEXT NOT NULL,          -- the file, byte for byte
  in_force_at BIGINT,            -- when a process first ran with it; null: none did yet
  -- Signed statement that this version was published, and when.
  jws TEXT
);

-- The catalogue: one row a recording, for ever; a shredded one keeps its row so that it is
-- recognised when announced again.
CREATE TABLE recordings (
  id TEXT PRIMARY KEY,           -- rec_…, derived from vault, account and source id; immutable
  -- what it is of: call | message | chat-message | video-track | video-composition; immutable
  kind TEXT NOT NULL,
  state TEXT NOT NULL,           -- announced | absent | failed | sealed | shredded
  account TEXT NOT NULL,         -- AC…; immutable
  -- RE…; SM… or MM… of a message, IM… of one in a chat; RT… of a track, CJ… of a composition; immutable
  source_sid TEXT NOT NULL,
  call_sid TEXT,                 -- CA…, where told
  conference_sid TEXT,           -- CF…, where told
  -- thr_… or KC…: the thread of a message, or the session that it or a call goes through; CH…: its
  -- chat; RM…: the room of a track or composition; null for other calls, which have the two columns
  -- above
  thread TEXT,
  -- who wrote or published it, by their leg of the thread or room; null: everybody in it made it
  -- together
  author TEXT,
  -- how many files belong to it, as told; each is an artefact media/0, media/1 …
  files BIGINT NOT NULL,
  -- recordingSource as told, the channel of a message, audio or video of a track; an open set
  source TEXT,
  source_status TEXT NOT NULL,   -- recordingStatus as last told, by rank
  -- 0 in-progress or unknown, 1 absent or failed, 2 completed; of a message 2 sent or received, 3
  -- delivered or not, 4 read; never falls
  source_rank BIGINT NOT NULL,
  error_code BIGINT,             -- errorCode as told; 16101 too short, 16102 silent
  duration_s BIGINT,             -- whole seconds, as told
  channels BIGINT,               -- 1 or 2, as told
  tier TEXT NOT NULL,            -- chosen by classification when first announced
  policy_version TEXT NOT NULL,  -- policy in force at collection; immutable
  policy_digest TEXT NOT NULL,   -- its digest; immutable
  started_at BIGINT,             -- recordingStartTime, where told
  announced_at BIGINT NOT NULL,  -- when the vault first heard of it; immutable
  sealed_at BIGINT,              -- when ciphertext and key entry were both there
  shredded_at BIGINT,            -- when it was tombstoned
  -- When it was collected: started_at, but never later than announced_at. Retention and consent
  -- count from here. A later announcement may name an earlier start, and so move it back.
  collected_at BIGINT NOT NULL DEFAULT 0,
  -- values by label of the policy, a JSON object of texts; never personal data
  labels TEXT NOT NULL DEFAULT '{}',
  -- holds that stand now; a recording is shredded only while there is none
  holds BIGINT NOT NULL DEFAULT 0,
  -- when it would have been shredded, had there been no hold, and the reason code; null otherwise
  revoked_at BIGINT,
  revoked_reason TEXT,
  -- when a sealed recording without the evidence of consent that its policy asks for is shredded;
  -- null if it has it
  quarantine_ends BIGINT,
  -- how the vault heard of it first: callback | reconcile | transcript; immutable
  heard_by TEXT NOT NULL DEFAULT 'callback',
  -- How the source encrypted it with the customer's key, a JSON object (model/encryption.rs); null:
  -- not at all, or not known. Without the private key it opens nothing. Goes when the recording is
  -- sealed or shredded.
  encryption TEXT,
  -- when it was removed at the source by somebody else; null: it was not, as far as told
  removed_at BIGINT,
  -- whom a composition shows or lets hear, by their legs of the room, a JSON array; null: everybody who
  -- was there
  shows TEXT
);
CREATE INDEX recordings_by_time ON recordings (announced_at, id);
CREATE INDEX recordings_by_state ON recordings (state, announced_at, id);
CREATE INDEX recordings_by_tier ON recordings (tier, announced_at, id);
CREATE INDEX recordings_by_account ON recordings (account, announced_at, id);
-- Lists are sorted by each of these times.
CREATE INDEX recordings_by_collection ON recordings (collected_at, id);
CREATE INDEX recordings_by_sealing ON recordings (sealed_at, id) WHERE sealed_at IS NOT NULL;
-- A list may ask for one by the source's name of it. Labels have no index: a list that asks for them
-- walks its order, and gives what it finds.
CREATE INDEX recordings_by_source ON recordings (source_sid);
CREATE INDEX recordings_by_retention ON recordings (tier, policy_digest, collected_at)
  WHERE state <> 'shredded';
CREATE INDEX recordings_by_call ON recordings (call_sid) WHERE call_sid IS NOT NULL;
CREATE INDEX recordings_by_conference ON recordings (conference_sid)
  WHERE conference_sid IS NOT NULL;
CREATE INDEX recordings_by_thread ON recordings (thread, collected_at, id)
  WHERE thread IS NOT NULL;
-- Whether anything of a thread or room lives, and of somebody in it.
CREATE INDEX recordings_living_by_thread ON recordings (thread, author)
  WHERE thread IS NOT NULL AND state <> 'shredded';
CREATE INDEX recordings_quarantined ON recordings (quarantine_ends)
  WHERE quarantine_ends IS NOT NULL;
CREATE INDEX recordings_revoked ON recordings (revoked_at, id)
  WHERE revoked_at IS NOT NULL AND state <> 'shredded';

-- Pages of the key tree (keyring/page.rs). The sealed bytes are useless without the root key.
CREATE TABLE pages (
  id TEXT PRIMARY KEY,           -- pag_…; immutable
  -- tier whose keys it holds; ~root and ~service are the vault's own; immutable
  tier TEXT NOT NULL,
  level BIGINT NOT NULL,         -- 0 leaf … 3 top branch, 4 root page; immutable
  -- grows by one with each writing; the guard against a second writer
  generation BIGINT NOT NULL,
  parent TEXT,                   -- page that holds this page's key
  parent_slot BIGINT,            -- and on which slot
  used BIGINT NOT NULL,          -- slots handed out, 0 to 128; never falls
  filler TEXT,                   -- process that is filling this leaf
  filler_until BIGINT,           -- until when nobody else may
  sealed BYTEA NOT NULL,         -- nonce, ciphertext, tag: 4124 bytes
  -- epoch in which the key of this page was made; of the root page: the epoch whose root key opens
  -- it
  epoch BIGINT NOT NULL DEFAULT 1,
  -- 1 if an older copy of this page holds a key that must die: the page gets a new key in the next
  -- turn
  stale BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX pages_to_fill ON pages (tier, level, used);
CREATE INDEX pages_stale ON pages (level, parent, id) WHERE stale = 1;
CREATE INDEX pages_by_parent ON pages (parent);

-- Where the record key of a recording's leg is. The row goes with the key.
CREATE TABLE key_entries (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  leg TEXT NOT NULL,             -- all | caller | callee
  page_id TEXT NOT NULL REFERENCES pages (id),
  slot BIGINT NOT NULL,          -- 0 to 127
  fingerprint TEXT NOT NULL,     -- public name of the key; a substituted key does not match it
  PRIMARY KEY (recording_id, leg)
);

-- Objects in the store that hold the small ciphertext of many artefacts, one after another
-- (vault/packs.rs): a snapshot names them, and leaves out what they hold.
CREATE TABLE packs (
  number BIGINT PRIMARY KEY,     -- random, so that no two timelines give the same; immutable
  object_id TEXT NOT NULL UNIQUE, -- obj_…: its name in the store; immutable
  size BIGINT NOT NULL,          -- bytes; 0 until it is in the store
  sealed_sha256 TEXT NOT NULL,   -- of all of it, lower-case hex; empty until it is in the store
  begun_at BIGINT NOT NULL,      -- immutable
  -- when it was first found to hold bytes that belong to nothing any more; null: it was not
  dented_at BIGINT,
  -- the timeline and number of the entry with which it was given up: from there on no artefact that
  -- lives names it; null: it is in use
  left_timeline BIGINT,
  left_seq BIGINT
);

-- Objects in the store of snapshots, each with rows that snapshots have in common
-- (vault/snapshot/shared.rs). Their keys come from the vault's own key page.
CREATE TABLE shared_rows (
  object_id TEXT PRIMARY KEY,    -- obj_…: its name in the store; immutable
  content TEXT NOT NULL,         -- keyed hash of its lines, lower-case hex; immutable
  rows BIGINT NOT NULL,          -- immutable
  size BIGINT NOT NULL,          -- bytes; 0 until it is in the store
  begun_at BIGINT NOT NULL,      -- immutable
  -- the timeline and number of the entry with which it was given up: from there on no snapshot names
  -- it; null: it is in use
  left_timeline BIGINT,
  left_seq BIGINT
);

-- Of which recordings the object of a pack has ciphertext: from before it is written until it is
-- deleted, also when the pack was given up, the artefact replaced or the recording shredded.
CREATE TABLE pack_contents (
  pack BIGINT NOT NULL,
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  PRIMARY KEY (pack, recording_id)
);
CREATE INDEX pack_contents_by_recording ON pack_contents (recording_id);

-- Sealed artefacts: in the store, or here where they are small.
CREATE TABLE artefacts (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  leg TEXT NOT NULL,             -- whose side it is, and with whose key it is sealed
  -- audio | transcript | form | media/0 … media/255; of an edit transcript/TIME and form/TIME, in ms
  artefact TEXT NOT NULL,
  object_id TEXT,                -- obj_…: the object's name in the store; null: the next column has it
  inline BYTEA NOT NULL,         -- the ciphertext of a small artefact; empty: it is in the store
  plain_len BIGINT NOT NULL,     -- bytes
  sealed_len BIGINT NOT NULL,    -- bytes
  sealed_sha256 TEXT NOT NULL,   -- of the ciphertext, lower-case hex
  segment BIGINT NOT NULL,       -- sealed segment length, 65536 or 16384
  content_type TEXT NOT NULL,
  -- the pack that has the ciphertext of a small artefact, too; null: none
  pack BIGINT,
  pack_at BIGINT,                -- where it begins in the pack, in bytes; null with the pack
  PRIMARY KEY (recording_id, leg, artefact)
);
-- Without nulls: SQLite would take "no object" for the rarest of conditions.
CREATE UNIQUE INDEX artefacts_by_object ON artefacts (object_id) WHERE object_id IS NOT NULL;
-- What lives in each pack, and what is in none.
CREATE INDEX artefacts_by_pack ON artefacts (pack, sealed_len)
  WHERE object_id IS NULL AND length(inline) > 0;
-- What a restore did not find in each pack.
CREATE INDEX artefacts_lacking ON artefacts (pack) WHERE pack IS NOT NULL AND length(inline) = 0;

-- The durable mark that a recording's keys are dead, one row for each leg that had a key, and one
-- for `all` where none had. While a recording has any, none of its legs opens. Rows are never
-- changed or removed.
CREATE TABLE tombstones (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  leg TEXT NOT NULL,             -- as in key_entries
  tombstoned_at BIGINT NOT NULL,
  receipt_id TEXT NOT NULL,      -- rcp_…; the same for all legs of a shred
  fingerprint TEXT,              -- of the destroyed key; null if none ever was
  -- the number of the audit entry of the tombstone: grows in commit order, whatever the clocks say.
  -- Null of one that a rebuilding took in from a lost timeline, whose numbers are not this log's.
  seq BIGINT,
  PRIMARY KEY (recording_id, leg)
);
CREATE INDEX tombstones_by_time ON tombstones (tombstoned_at);
CREATE INDEX tombstones_by_seq ON tombstones (seq);
-- For refusing a key that is dead, whenever one is entered.
CREATE INDEX tombstones_by_fingerprint ON tombstones (fingerprint);

-- Proof of each shred.
CREATE TABLE receipts (
  id TEXT PRIMARY KEY,           -- rcp_…
  recording_id TEXT NOT NULL UNIQUE REFERENCES recordings (id),
  state TEXT NOT NULL,           -- tombstoned | unrecoverable | closed
  jws TEXT NOT NULL,             -- signed, compact form; replaced when the state moves on
  issued_at BIGINT NOT NULL,
  -- The epoch whose turn made older copies of the key store useless for this recording; null until
  -- one has. 0: there never was a key.
  epoch BIGINT
);
CREATE INDEX receipts_uncovered ON receipts (issued_at) WHERE epoch IS NULL;
CREATE INDEX receipts_tombstoned ON receipts (epoch, id) WHERE state = 'tombstoned';

-- The one queue: whatever is to be done later, by whichever process leases it. A lease is due_at in
-- the future with a holder beside it. Fetches, files, sessions, chats, deletions, revocations and
-- notices travel; the others are found again.
CREATE TABLE work (
  -- fetch | files | session | delete-ciphertext | delete-at-source | transcript | transcript-poll |
  -- chat | revocation | notice | comparison | epoch-turn
  kind TEXT NOT NULL,
  -- what it is about: rec_…; of a transcript its account, product and SID with slashes between; of a
  -- chat AC…/CH…; of a revocation rvk_…; of a notice thr_…; of a comparison AC…; of the epoch's turn
  -- vlt_…
  subject TEXT NOT NULL,
  state TEXT NOT NULL,           -- due | dead
  due_at BIGINT NOT NULL,        -- not before then; for leased work, when the lease ends
  holder TEXT,                   -- hld_… of the lease
  -- fencing token: grows with each lease taken, from the database's clock in milliseconds; what is
  -- done under a lease counts only while holder and token are the lease's own
  token BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL,      -- leases taken so far
  last_error TEXT,               -- why the last attempt failed; never personal data
  enqueued_at BIGINT NOT NULL,
  -- the recording, of the kinds that are about one
  recording_id TEXT GENERATED ALWAYS AS (
    CASE WHEN kind IN ('fetch', 'files', 'session', 'delete-ciphertext', 'delete-at-source', 'transcript-poll') THEN subject END
  ) STORED REFERENCES recordings (id),
  PRIMARY KEY (kind, subject)
);
CREATE INDEX work_due ON work (kind, due_at) WHERE state = 'due';
CREATE INDEX work_held ON work (kind, due_at) WHERE holder IS NOT NULL;
CREATE INDEX work_dead ON work (enqueued_at) WHERE state = 'dead';

-- Persons and services that act. Rows are never removed: the audit log names them by their id.
CREATE TABLE principals (
  id TEXT PRIMARY KEY,           -- prn_…
  kind TEXT NOT NULL,            -- person | service
  -- who vouches for the subject: local for those named at the command line, else an OIDC issuer
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,         -- what the issuer calls them
  label TEXT NOT NULL,           -- what lists show; the operator's own name for them
  created_at BIGINT NOT NULL,
  UNIQUE (issuer, subject)
);

-- Bearer tokens, as hashes.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,           -- tok_…
  hash TEXT NOT NULL UNIQUE,     -- SHA-256 of the token's 256 random bits, lower-case hex
  label TEXT NOT NULL,           -- operator's own name for it
  roles TEXT NOT NULL,           -- JSON array
  accounts TEXT NOT NULL,        -- JSON array of AC…; empty: all
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT,
  -- values by label of the policy, a JSON object of arrays of texts
  attributes TEXT NOT NULL DEFAULT '{}',
  principal_id TEXT NOT NULL REFERENCES principals (id) -- whose credential it is
);
CREATE INDEX tokens_by_principal ON tokens (principal_id);

-- Grants given. A row is a claim, not a right: each opening is decided again.
CREATE TABLE grants (
  id TEXT PRIMARY KEY,           -- grt_…
  hash TEXT NOT NULL UNIQUE,     -- SHA-256 of the grant token, lower-case hex
  object TEXT NOT NULL,          -- what it opens: rec_…, or a conversation (CA… CF… CH… RM… KC… thr_…)
  account TEXT NOT NULL,         -- the account of that
  token_id TEXT NOT NULL REFERENCES tokens (id),
  purpose TEXT NOT NULL,
  justified BIGINT NOT NULL,     -- 1 if a justification was given with the request
  policy_digest TEXT NOT NULL,
  issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  ticket TEXT,
  break_glass BIGINT NOT NULL DEFAULT 0,
  opened_at BIGINT,              -- when it was first used
  approval_id TEXT,              -- apr_… on which it rests; null: its tier asks for none, or it was done without
  ended_at BIGINT                -- when somebody ended it; null: it holds until expires_at
);
-- Lists are sorted by the time, and ask for those of one recording or of one principal's tokens.
CREATE INDEX grants_by_time ON grants (issued_at, id);
CREATE INDEX grants_by_object ON grants (object);
CREATE INDEX grants_by_token ON grants (token_id);
CREATE INDEX grants_by_approval ON grants (approval_id) WHERE approval_id IS NOT NULL;

-- The approvals on which a grant over a conversation rests: one for each of its messages whose tier
-- asks for one. The grant ends with any of them.
CREATE TABLE grant_approvals (
  grant_id TEXT NOT NULL REFERENCES grants (id),
  approval_id TEXT NOT NULL,     -- apr_…
  PRIMARY KEY (grant_id, approval_id)
);
CREATE INDEX grant_approvals_by_approval ON grant_approvals (approval_id);

-- Requests with a key of their client's, which take effect once. A row lives for a day; it does not
-- travel, so after a rebuilding a repeat runs again.
CREATE TABLE idempotency (
  id TEXT PRIMARY KEY,           -- keyed hash of the bearer token's id and the client's key
  fingerprint TEXT NOT NULL,     -- keyed hash of the request: method, address, body
  -- fencing token: grows with each attempt, from the database's clock in milliseconds
  token BIGINT NOT NULL,
  running_until BIGINT,          -- until when nobody else may try; null: it is answered
  -- the answer, sealed under a key that is derived from the vault's seed and the client's key; empty
  -- while it runs
  sealed BYTEA NOT NULL,
  claimed_at BIGINT NOT NULL     -- when the last attempt began
);
CREATE INDEX idempotency_by_time ON idempotency (claimed_at);

-- The audit log. Rows are never changed or removed; ids only.
CREATE TABLE audit (
  seq BIGINT PRIMARY KEY,        -- 1, 2, 3 … in commit order, without gaps
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,           -- prn_… | operator:<user> | vault
  event TEXT NOT NULL,
  recording_id TEXT,
  details TEXT NOT NULL,         -- JSON object
  -- Of an entry that a rebuilding found in the store behind the log that it went on with: the lost
  -- timeline that told it, and its number there. Null of every other one.
  told_timeline BIGINT,
  told_seq BIGINT
);
-- What a lost timeline told is taken in once.
CREATE UNIQUE INDEX audit_told ON audit (told_timeline, told_seq) WHERE told_seq IS NOT NULL;
-- What ends streams and is no tombstone: every process looks for it while it streams.
CREATE INDEX audit_endings ON audit (seq)
  WHERE event IN ('recording.revoked', 'recording.quarantined', 'recording.moved', 'recording.reclassified', 'grant.ended', 'token.revoked');
-- Lists ask for what is about one recording, what one actor did, one event, or a span of time.
CREATE INDEX audit_by_recording ON audit (recording_id, seq) WHERE recording_id IS NOT NULL;
CREATE INDEX audit_by_actor ON audit (actor, seq);
CREATE INDEX audit_by_event ON audit (event, seq);
CREATE INDEX audit_by_time ON audit (at, seq);
-- For counting lost ciphertext without reading the log.
CREATE INDEX audit_missing ON audit (recording_id) WHERE event = 'ciphertext.missing';
-- For counting emergencies without reading the log.
CREATE INDEX audit_broken_glass ON audit (at) WHERE event = 'glass.broken';

-- The number of the last entry; locked by whoever writes the next.
CREATE TABLE audit_head (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  seq BIGINT NOT NULL
);
INSERT INTO audit_head (one, seq) VALUES (1, 0);

-- The timelines that this log goes through: each rebuilding begins one, because the lost database may
-- have given the next numbers, too. Both columns grow from row to row.
CREATE TABLE timelines (
  timeline BIGINT PRIMARY KEY,   -- 1 for a vault that was never rebuilt
  behind BIGINT NOT NULL         -- the number that its first one follows
);
INSERT INTO timelines (timeline, behind) VALUES (1, 0);

-- One row for each life of a root key; the highest one is the present. Older rows stay and hold no
-- key.
CREATE TABLE epochs (
  epoch BIGINT PRIMARY KEY,      -- 1, 2, 3 …
  -- key of the root page, sealed by custody under this epoch's root key; empty once that root is
  -- destroyed
  root_sealed BYTEA NOT NULL,
  began_at BIGINT NOT NULL,      -- when the turn's transaction committed; immutable
  -- the newest snapshot of this epoch that was verified: its name in the store
  snapshot TEXT,
  snapshot_at BIGINT,            -- when it was verified
  -- when custody had destroyed the root before this one; null while a turn is not done
  previous_destroyed_at BIGINT,
  finished_at BIGINT             -- when receipts were completed and older snapshots removed
);

-- What is remembered from turn to turn. Who turns is in the queue of work.
CREATE TABLE turner (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  -- up to which number audit entries are in the journal, or in a snapshot
  journaled_to BIGINT NOT NULL DEFAULT 0,
  -- highest epoch number that was ever given here; none is given twice
  numbered_to BIGINT NOT NULL DEFAULT 0,
  -- 0 from a rebuilding until a snapshot of what was rebuilt is verified and all other roots are
  -- destroyed
  settled BIGINT NOT NULL DEFAULT 1,
  rotated_at BIGINT,             -- when all keys of pages were last renewed by a rotation
  chained BIGINT NOT NULL DEFAULT 0, -- pieces in the journal's chain so far; 0 before the first
  -- the newest piece of the chain: its name in the store; null before the first
  chain_name TEXT,
  -- SHA-256 of that piece's header, as lower-case hex; null before the first
  chain_digest TEXT,
  -- everything that happened up to this number of the audit log is in the store, under these numbers:
  -- a shred up to it is one that a rebuilding finds
  durable_to BIGINT NOT NULL DEFAULT 0
);
INSERT INTO turner (one) VALUES (1);

-- What has changed since it was last written to the journal in the store.
CREATE TABLE outbox (
  kind TEXT NOT NULL,            -- db/outbox.rs has the list
  id TEXT NOT NULL,              -- rec_…, tok_…, or a policy's digest
  -- grows with each change, so that a change during a writing is not forgotten
  mark BIGINT NOT NULL,
  since BIGINT NOT NULL,         -- when it first changed
  PRIMARY KEY (kind, id)
);

-- Who took part in a conversation. A conversation without a row has one party that nobody knows.
CREATE TABLE parties (
  conversation TEXT NOT NULL,    -- CA…, CF…, CH…, RM…, KC… or thr_…
  -- AC…: for whose recordings it counts, that of the account that told; *: for those of every
  -- account, because who named the party may see all of them
  account TEXT NOT NULL,
  -- place in it, as the application calls it; in a chat, as Twilio does: mb…
  leg TEXT NOT NULL,
  subject TEXT,                  -- sub_…, a keyed hash of the address; null: not known
  named_at BIGINT NOT NULL,
  -- the accounts whose recordings revocations from before named_at reach by this place: AC… AC…, or
  -- * for all; empty: of none, because who named the party may not revoke
  vouched_for TEXT NOT NULL DEFAULT '',
  -- which channel of a recording with two this party is heard on, 1 or 2; null: not known
  channel BIGINT,
  -- address and name, sealed under the vault's own key, until recordings of the conversation keep
  -- them under theirs; empty: nothing waits
  sealed BYTEA NOT NULL DEFAULT '',
  -- in a chat: from when until when they were there, to the second; null: no bound is known
  joined_at BIGINT,
  left_at BIGINT,
  PRIMARY KEY (conversation, account, leg)
);
CREATE INDEX parties_by_subject ON parties (subject) WHERE subject IS NOT NULL;
CREATE INDEX parties_unvouched ON parties (subject)
  WHERE subject IS NOT NULL AND vouched_for <> '*';
CREATE INDEX parties_waiting ON parties (named_at) WHERE length(sealed) > 0;

-- Chats of Conversations, as far as Twilio told of them. No personal data.
CREATE TABLE chats (
  chat TEXT NOT NULL,            -- CH…; immutable
  account TEXT NOT NULL,         -- AC…, which told of it; immutable
  service TEXT,                  -- IS…, where told; requests about the chat need it
  state TEXT,                    -- active | inactive | closed, as last told; an open set
  state_at BIGINT,               -- since when, as told
  removed_at BIGINT,             -- when it was removed at Twilio with all of its messages
  read_at BIGINT,                -- when its participants were last read over REST
  told_index BIGINT,             -- the highest index of a message that was told
  -- the index from which on messages may be lacking, until they are read; null: none is known to
  gap_from BIGINT,
  PRIMARY KEY (chat, account)
);

-- Statements of consent. Rows are never changed or removed: a later one may say otherwise.
CREATE TABLE consents (
  id TEXT PRIMARY KEY,           -- cns_…
  subject TEXT,                  -- sub_…: about a person in every conversation; or null and
  conversation TEXT,             -- CA…, CF…, CH…, RM…, KC… or thr_…: about who took part in it,
  leg TEXT,                      -- at this place; null: all of them
  -- JSON array of the accounts for whose recordings it counts; empty: for those of all
  accounts TEXT NOT NULL,
  purposes TEXT NOT NULL,        -- JSON array of purposes; empty: all
  answer TEXT NOT NULL,          -- given | declined | withdrawn | informed
  -- contract | announcement | speech | keypad | sms | web-form | letter | import
  method TEXT NOT NULL,
  disclosure TEXT,               -- SHA-256 of the text that was disclosed, lower-case hex
  policy_version TEXT,           -- the version it was said under
  -- sealed: address and reference to the evidence; empty if there is neither
  evidence BYTEA NOT NULL,
  said_at BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  recorded_by TEXT NOT NULL,     -- actor
  -- the accounts whose recordings a no lets go of when their quarantine ends, as in parties; empty:
  -- of none, because who told it may not revoke
  vouched_for TEXT NOT NULL
);
CREATE INDEX consents_by_subject ON consents (subject, recorded_at) WHERE subject IS NOT NULL;
CREATE INDEX consents_by_conversation ON consents (conversation) WHERE conversation IS NOT NULL;

-- Threads whose person is to be told first that messages are kept (consent.messages_first of the
-- policy): one row for each, made when the notice becomes due. It does not travel: that a person was
-- told is a statement, and what was sent is found in the source's list.
CREATE TABLE notices (
  thread TEXT PRIMARY KEY,       -- thr_…
  asked_at BIGINT NOT NULL,      -- when it became due
  message TEXT,                  -- SM…: what was sent; null before
  error_code BIGINT,             -- why the source refused it; 21610: the person opted out
  ended_at BIGINT                -- when it was delivered, refused or no longer needed
);

-- Stops on shredding. A row stays when the hold is lifted.
CREATE TABLE holds (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  name TEXT NOT NULL,
  -- the purpose that stays open under it when everything else is closed
  purpose TEXT NOT NULL,
  reason TEXT NOT NULL,          -- a code
  -- who demands it, such as a court and its file number; never a person
  authority TEXT NOT NULL,
  review_at BIGINT NOT NULL,     -- when somebody must look whether it is still needed
  placed_at BIGINT NOT NULL,
  placed_by TEXT NOT NULL,       -- actor
  lifted_at BIGINT,              -- null while it stands
  PRIMARY KEY (recording_id, name)
);
CREATE INDEX holds_by_review ON holds (review_at) WHERE lifted_at IS NULL;

-- Revocations, however many recordings they reach. They reach what arrives later, too.
CREATE TABLE revocations (
  id TEXT PRIMARY KEY,           -- rvk_…
  reach TEXT NOT NULL,           -- subject | recording | account | conversation
  -- sub_…, rec_…, AC…, or a conversation, with / and a place in it if it is that party's
  target TEXT NOT NULL,
  purposes TEXT NOT NULL,        -- JSON array; empty: everything, and what is reached is shredded
  -- JSON array: only recordings of these accounts are reached; empty: of all
  accounts TEXT NOT NULL,
  reason TEXT NOT NULL,          -- a code
  actor TEXT NOT NULL,
  revoked_at BIGINT NOT NULL,    -- it covers what was collected until then
  -- running (then it has work in the queue) | done
  state TEXT NOT NULL,
  -- last recording that was dealt with, in the order of ids; for going on
  cursor TEXT,
  jws TEXT,                      -- signed receipt for the whole, once done
  finished_at BIGINT
);
CREATE INDEX revocations_by_time ON revocations (revoked_at, id); -- lists are sorted by it
CREATE INDEX revocations_by_target ON revocations (target, revoked_at);

-- What a revocation did to each recording that it reaches.
CREATE TABLE revoked (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  revocation_id TEXT NOT NULL,
  outcome TEXT NOT NULL,         -- shredded | held | closed
  -- own: the revoking person made it, or it is no person's revocation | received: another wrote it to them
  authorship TEXT NOT NULL,
  kind TEXT NOT NULL,            -- that of the recording, for counting
  PRIMARY KEY (recording_id, revocation_id)
);
CREATE INDEX revoked_by_revocation ON revoked (revocation_id, outcome, authorship, kind);

-- Requests for the approval of a second person.
CREATE TABLE approvals (
  id TEXT PRIMARY KEY,           -- apr_…
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  principal_id TEXT NOT NULL,    -- who asks
  purpose TEXT NOT NULL,
  justification BYTEA NOT NULL,  -- sealed under a key that dies with the recording's
  state TEXT NOT NULL,           -- requested | approved | refused
  requested_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,    -- of the request; once approved, of the approval
  decided_at BIGINT,
  decided_by TEXT                -- prn_… of somebody else
);
CREATE INDEX approvals_by_request ON approvals (recording_id, principal_id, purpose);
CREATE INDEX approvals_waiting ON approvals (requested_at) WHERE state = 'requested';

-- How many recordings a principal opened for a purpose on a day.
CREATE TABLE budgets (
  principal_id TEXT NOT NULL,
  purpose TEXT NOT NULL,
  day BIGINT NOT NULL,           -- days since 1970-01-01 UTC
  used BIGINT NOT NULL,
  PRIMARY KEY (principal_id, purpose, day)
);

-- Which: a recording, or a conversation read as a whole, counts once, whatever grants it is opened
-- under.
CREATE TABLE budgeted (
  principal_id TEXT NOT NULL,
  purpose TEXT NOT NULL,
  day BIGINT NOT NULL,
  object TEXT NOT NULL,          -- rec_…, or a conversation
  PRIMARY KEY (principal_id, purpose, day, object)
);

-- Who took part in a recording, in the clear for who may know: sealed under a key that is derived
-- from the record key. The row goes with the key.
CREATE TABLE details (
  recording_id TEXT PRIMARY KEY REFERENCES recordings (id),
  sealed BYTEA NOT NULL,
  sealed_at BIGINT NOT NULL      -- when it was written last
);

-- Copies of a recording that the source keeps, and what became of them: the evidence of their
-- deletion.
CREATE TABLE sources (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  -- recording | transcription | add-on | transcript | object | message | file | chat-message | chat |
  -- track | composition | participant | interaction | session
  kind TEXT NOT NULL,
  -- the source's id: RE…, TR…, XR…, GT…; of an object its digest; in the state `unknown` that of what
  -- it was a copy of
  sid TEXT NOT NULL,
  -- there | not-deletable-yet | deleted | confirmed | left | kept | unknown
  state TEXT NOT NULL,
  found_at BIGINT NOT NULL,      -- when the vault saw it first
  -- when the source took the deletion, or said that it has no such thing
  deleted_at BIGINT,
  confirmed_at BIGINT,           -- when the source said that it is deleted
  -- until when the source keeps words about it (metadata), as far as it publishes that
  left_until BIGINT,
  refused_at BIGINT,             -- when the source first said that it cannot be deleted yet
  redacted_at BIGINT,            -- when the source removed its text, because it refused the deletion
  PRIMARY KEY (recording_id, kind, sid)
);
CREATE INDEX sources_by_sid ON sources (sid);
CREATE INDEX sources_not_deletable_yet ON sources (refused_at) WHERE state = 'not-deletable-yet';

-- Recordings of one text: each end of a link has a row. Either may not have come, or may never come.
CREATE TABLE links (
  recording_id TEXT NOT NULL,    -- rec_…
  other_id TEXT NOT NULL,        -- rec_…: the other end
  -- exact (the source named both together: they are one, and shredded together) | inferred (they are
  -- alike)
  kind TEXT NOT NULL,
  why TEXT NOT NULL,             -- interaction | delivery-receipt | same-text
  PRIMARY KEY (recording_id, other_id, kind)
);
CREATE INDEX links_by_other ON links (other_id) WHERE kind = 'exact';

-- Keyed hashes of who wrote what, by which two recordings of one text find each other. A row lives for a
-- day and no longer than its recording; it does not travel.
CREATE TABLE likenesses (
  recording_id TEXT PRIMARY KEY, -- rec_…
  mark TEXT NOT NULL,            -- keyed hash of account, author and text
  at BIGINT NOT NULL,            -- when it was written
  told_at BIGINT NOT NULL        -- when the row was made
);
CREATE INDEX likenesses_by_mark ON likenesses (mark, at);
CREATE INDEX likenesses_by_time ON likenesses (told_at);

-- Calls that go through a session of Proxy: how the recording of a call finds its session. Found again
-- at the source, so they do not travel.
CREATE TABLE session_calls (
  call_sid TEXT NOT NULL,        -- CA…: one of the two calls
  account TEXT NOT NULL,         -- AC…, which told of it
  session TEXT NOT NULL,         -- KC…
  caller TEXT,                   -- KP…: the participant who called
  callee TEXT,                   -- KP…: the participant who was called
  told_at BIGINT NOT NULL,       -- when the source told of it first
  PRIMARY KEY (call_sid, account)
);
CREATE INDEX session_calls_by_time ON session_calls (told_at);

-- Transcripts that the source made: those that wait to be filed, and which one is. Found again at
-- the source, so they do not travel.
CREATE TABLE transcripts (
  account TEXT NOT NULL,         -- AC…
  sid TEXT NOT NULL,             -- GT… or TR…
  kind TEXT NOT NULL,            -- intelligence | record | real-time
  source_sid TEXT,               -- RE…, where known
  call_sid TEXT,                 -- CA…, where known
  -- waiting (then it has work in the queue) | filed (it is the one that the recording has) | passed
  -- (it is not to be filed)
  state TEXT NOT NULL,
  -- when the vault heard of it first, or heard of it again when its work was dead
  told_at BIGINT NOT NULL,
  began_at BIGINT,               -- of real time: when it began, as the source says
  ended_at BIGINT,               -- of real time: when it ended, as the source says
  PRIMARY KEY (account, sid, kind)
);
CREATE INDEX transcripts_by_source ON transcripts (source_sid) WHERE source_sid IS NOT NULL;
CREATE INDEX transcripts_by_call ON transcripts (call_sid) WHERE call_sid IS NOT NULL;

-- What was said in a running call, piece by piece, until it is one transcript. They do not travel.
CREATE TABLE utterances (
  account TEXT NOT NULL,
  transcription_sid TEXT NOT NULL, -- GT…
  -- inbound_track | outbound_track | '' (what belongs to no track: beginning and end)
  track TEXT NOT NULL,
  sequence BIGINT NOT NULL,      -- sequenceId
  -- sealed under the vault's own key, bound to the four above; empty: no words (a guess, the
  -- beginning, the end)
  sealed BYTEA NOT NULL,
  told_at BIGINT NOT NULL,
  PRIMARY KEY (account, transcription_sid, track, sequence)
);

-- How far an existing account was listed, so that a long listing goes on where it stopped. It does
-- not travel.
CREATE TABLE listings (
  account TEXT NOT NULL,
  -- call | message | video-track | video-composition: which of the account's lists (model/media.rs)
  kind TEXT NOT NULL,
  since BIGINT NOT NULL,         -- the listing covers what was created from then on
  until BIGINT NOT NULL,         -- and before then
  done_until BIGINT NOT NULL,    -- so far everything created before then was seen
  listed BIGINT NOT NULL,        -- recordings seen
  announced BIGINT NOT NULL,     -- of them, new to the vault
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (account, kind)
);

-- When each account was compared with the source, and what came of it. It does not travel: the next
-- comparison makes it anew.
CREATE TABLE reconciliations (
  account TEXT PRIMARY KEY,
  tried_at BIGINT NOT NULL,      -- when the last comparison began
  done_at BIGINT,                -- when the last one ended that came to its end
  found TEXT,                    -- what that one found, a JSON object of counts (flow/reconcile.rs)
  -- why the last one did not come to its end; null: it did. Never personal data
  fault TEXT
);

-- At most one row: the ids of a vault that `recvault init` began to make. It is written before
-- custody is asked, so that an interrupted `init` knows its own root there, and two at once make
-- one vault. Travels in no snapshot.
CREATE TABLE intended (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,              -- vlt_…; the vault's id when it is made
  database_id TEXT NOT NULL,     -- dbi_…; this database's id when it is made
  created_at BIGINT NOT NULL     -- when it was begun
);

-- What a rebuilding could not find in the store and somebody accepted to go without. Rows are never
-- removed.
CREATE TABLE gaps (
  timeline BIGINT NOT NULL,      -- the lost timeline whose numbers these are; 0 for this log's own
  first BIGINT NOT NULL,         -- number of the first audit entry that may be missing
  last BIGINT NOT NULL,          -- number of the last one
  accepted_at BIGINT NOT NULL,   -- when the rebuilding went on without them
  PRIMARY KEY (timeline, first, last)
);

-- The last time that was believed. Scheduled destruction stops where the clock is far from it.
CREATE TABLE clock (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  -- the newest time that a process read from its clock and believed; never later than the clock of
  -- that moment
  read_at BIGINT NOT NULL,
  accepted BIGINT NOT NULL DEFAULT 0 -- how often an operator accepted another time
);
