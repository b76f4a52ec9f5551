-- Recvault ledger, schema 3: people, their consent, and time.

-- When it was collected: started_at, but never later than announced_at. Retention and consent count from here; immutable.
ALTER TABLE recordings ADD COLUMN collected_at BIGINT NOT NULL DEFAULT 0;
UPDATE recordings SET collected_at = LEAST(COALESCE(started_at, announced_at), announced_at);
-- Values by label of the policy, a JSON object of texts; never personal data.
ALTER TABLE recordings ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
-- Holds that stand now; a recording is shredded only while there is none.
ALTER TABLE recordings ADD COLUMN holds BIGINT NOT NULL DEFAULT 0;
-- When it would have been shredded, had there been no hold, and the reason code; null otherwise.
ALTER TABLE recordings ADD COLUMN revoked_at BIGINT;
ALTER TABLE recordings ADD COLUMN revoked_reason TEXT;
-- When a sealed recording without the evidence of consent that its policy asks for is shredded; null if it has it.
ALTER TABLE recordings ADD COLUMN quarantine_ends BIGINT;
CREATE INDEX recordings_by_retention ON recordings (tier, policy_digest, collected_at) WHERE state <> 'shredded';
CREATE INDEX recordings_by_call ON recordings (call_sid) WHERE call_sid IS NOT NULL;
CREATE INDEX recordings_by_conference ON recordings (conference_sid) WHERE conference_sid IS NOT NULL;
CREATE INDEX recordings_quarantined ON recordings (quarantine_ends) WHERE quarantine_ends IS NOT NULL;
CREATE INDEX recordings_revoked ON recordings (revoked_at, id) WHERE revoked_at IS NOT NULL AND state <> 'shredded';

-- Who took part in a conversation. A conversation without a row has one party that nobody knows.
CREATE TABLE parties (
  conversation TEXT NOT NULL,     -- CA… or CF…
  leg TEXT NOT NULL,              -- place in it, as the application calls it
  subject TEXT,                   -- sub_…, a keyed hash of the address; null: not known
  named_at BIGINT NOT NULL,
  PRIMARY KEY (conversation, leg)
);
CREATE INDEX parties_by_subject ON parties (subject) WHERE subject IS NOT NULL;

-- Statements of consent. Rows are never changed or removed: a later one may say otherwise.
CREATE TABLE consents (
  id TEXT PRIMARY KEY,            -- cns_…
  subject TEXT,                   -- sub_…: about a person in every conversation; or null and
  conversation TEXT,              -- CA… or CF…: about who took part in it,
  leg TEXT,                       -- at this place; null: all of them
  purposes TEXT NOT NULL,         -- JSON array of purposes; empty: all
  answer TEXT NOT NULL,           -- given | declined | withdrawn
  method TEXT NOT NULL,           -- contract | announcement | speech | keypad | sms | web-form | letter | import
  disclosure TEXT,                -- SHA-256 of the text that was disclosed, lower-case hex
  policy_version TEXT,            -- the version it was said under
  evidence BYTEA NOT NULL,         -- sealed: address and reference to the evidence; empty if there is neither
  said_at BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  recorded_by TEXT NOT NULL       -- actor
);
CREATE INDEX consents_by_subject ON consents (subject, recorded_at) WHERE subject IS NOT NULL;
CREATE INDEX consents_by_conversation ON consents (conversation) WHERE conversation IS NOT NULL;

-- Stops on shredding. A row stays when the hold is lifted.
CREATE TABLE holds (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  name TEXT NOT NULL,
  purpose TEXT NOT NULL,          -- the purpose that stays open under it when everything else is closed
  reason TEXT NOT NULL,           -- a code
  authority TEXT NOT NULL,        -- who demands it, such as a court and its file number; never a person
  review_at BIGINT NOT NULL,     -- when somebody must look whether it is still needed
  placed_at BIGINT NOT NULL,
  placed_by TEXT NOT NULL,        -- actor
  lifted_at BIGINT,              -- null while it stands
  PRIMARY KEY (recording_id, name)
);
CREATE INDEX holds_by_review ON holds (review_at) WHERE lifted_at IS NULL;

-- Revocations, however many recordings they reach. They reach what arrives later, too.
CREATE TABLE revocations (
  id TEXT PRIMARY KEY,            -- rvk_…
  reach TEXT NOT NULL,            -- subject | recording | account | conversation
  target TEXT NOT NULL,           -- sub_…, rec_…, AC…, CA… or CF…
  purposes TEXT NOT NULL,         -- JSON array; empty: everything, and what is reached is shredded
  accounts TEXT NOT NULL,         -- JSON array: only recordings of these accounts are reached; empty: of all
  reason TEXT NOT NULL,           -- a code
  actor TEXT NOT NULL,
  revoked_at BIGINT NOT NULL,    -- it covers what was collected until then
  state TEXT NOT NULL,            -- running | done
  cursor TEXT,                    -- last recording that was dealt with, in the order of ids; for going on
  jws TEXT,                       -- signed receipt for the whole, once done
  finished_at BIGINT,
  due_at BIGINT NOT NULL          -- until when somebody is at it; then anybody may go on
);
CREATE INDEX revocations_by_target ON revocations (target, revoked_at);
CREATE INDEX revocations_running ON revocations (due_at) WHERE state = 'running';

-- What a revocation did to each recording that it reaches.
CREATE TABLE revoked (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  revocation_id TEXT NOT NULL,
  outcome TEXT NOT NULL,          -- shredded | held | closed
  PRIMARY KEY (recording_id, revocation_id)
);
CREATE INDEX revoked_by_revocation ON revoked (revocation_id, outcome);

-- Recordings that were closed without a fence: every process looks for them while it streams.
CREATE INDEX audit_revoked ON audit (seq) WHERE event = 'recording.revoked';

-- Requests for the approval of a second person.
CREATE TABLE approvals (
  id TEXT PRIMARY KEY,            -- apr_…
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  token_id TEXT NOT NULL,         -- who asks
  purpose TEXT NOT NULL,
  justification BYTEA NOT NULL,    -- sealed under a key that dies with the recording's
  state TEXT NOT NULL,            -- requested | approved | refused
  requested_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,    -- of the request; once approved, of the approval
  decided_at BIGINT,
  decided_by TEXT                 -- tok_… of somebody else
);
CREATE INDEX approvals_by_request ON approvals (recording_id, token_id, purpose);
CREATE INDEX approvals_waiting ON approvals (requested_at) WHERE state = 'requested';

-- Openings per principal, purpose and day.
CREATE TABLE budgets (
  token_id TEXT NOT NULL,
  purpose TEXT NOT NULL,
  day BIGINT NOT NULL,           -- days since 1970-01-01 UTC
  used BIGINT NOT NULL,
  PRIMARY KEY (token_id, purpose, day)
);
-- For counting emergencies without reading the log.
CREATE INDEX audit_broken_glass ON audit (at) WHERE event = 'glass.broken';

ALTER TABLE grants ADD COLUMN ticket TEXT;
ALTER TABLE grants ADD COLUMN break_glass BIGINT NOT NULL DEFAULT 0;
-- When it was first used: an opening counts once for each grant.
ALTER TABLE grants ADD COLUMN opened_at BIGINT;

-- Values by label of the policy, a JSON object of arrays of texts.
ALTER TABLE tokens ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';

-- Signed statement that this version was published, and when. In a row with in_force_at 0 no process ran with it yet.
ALTER TABLE policies ADD COLUMN jws TEXT;

-- Statements only grow, whoever is connected.
CREATE TRIGGER consents_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON consents FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
