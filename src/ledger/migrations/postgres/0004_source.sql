-- Recvault ledger, schema 4: what the source keeps, and what it tells besides sound.

-- How the vault heard of it first: callback | reconcile | transcript; immutable.
ALTER TABLE recordings ADD COLUMN heard_by TEXT NOT NULL DEFAULT 'callback';
-- How the source encrypted it with the customer's key, a JSON object (model/encryption.rs); null: not at all, or not known. Without the private
-- key it opens nothing. Goes when the recording is sealed or shredded.
ALTER TABLE recordings ADD COLUMN encryption TEXT;

-- Which channel of a recording with two this party is heard on, 1 or 2; null: not known.
ALTER TABLE parties ADD COLUMN channel BIGINT;
-- Address and name, sealed under the vault's own key, until recordings of the conversation keep them under theirs; empty: nothing waits.
ALTER TABLE parties ADD COLUMN sealed BYTEA NOT NULL DEFAULT '';
CREATE INDEX parties_waiting ON parties (named_at) WHERE length(sealed) > 0;

-- Who took part in a recording, in the clear for who may know: sealed under a key that is derived from the record key. The row goes with the key.
CREATE TABLE details (
  recording_id TEXT PRIMARY KEY REFERENCES recordings (id),
  sealed BYTEA NOT NULL,
  sealed_at BIGINT NOT NULL      -- when it was written last
);

-- Copies of a recording that the source keeps, and what became of them: the evidence of their deletion.
CREATE TABLE sources (
  recording_id TEXT NOT NULL REFERENCES recordings (id),
  kind TEXT NOT NULL,             -- recording | transcription | add-on | transcript | object
  sid TEXT NOT NULL,              -- the source's id: RE…, TR…, XR…, GT…; of an object its digest
  state TEXT NOT NULL,            -- there | deleted | confirmed | left
  found_at BIGINT NOT NULL,      -- when the vault saw it first
  deleted_at BIGINT,             -- when the source took the deletion, or said that it has no such thing
  confirmed_at BIGINT,           -- when the source said that it is deleted
  left_until BIGINT,             -- until when the source keeps words about it (metadata), as far as it publishes that
  PRIMARY KEY (recording_id, kind, sid)
);
CREATE INDEX sources_by_sid ON sources (sid);

-- Work at the source is leased apart from the rest, so that neither waits for the other.
DROP INDEX work_due;
CREATE INDEX work_due ON work (due_at) WHERE state = 'due' AND kind <> 'erase';
CREATE INDEX work_erasures ON work (due_at) WHERE state = 'due' AND kind = 'erase';
CREATE INDEX work_dead ON work (enqueued_at) WHERE state = 'dead';

-- Transcripts that the source made: those that wait to be filed, and which one is. Found again at the source, so they do not travel.
CREATE TABLE transcripts (
  account TEXT NOT NULL,          -- AC…
  sid TEXT NOT NULL,              -- GT… or TR…; of a look RE…
  kind TEXT NOT NULL,             -- intelligence | record | real-time | look (at what the source made of a recording without being asked)
  source_sid TEXT,                -- RE…, where known; null for a look
  call_sid TEXT,                  -- CA…, where known
  state TEXT NOT NULL,            -- due | filed (it is the one that the recording has) | passed (it is not to be filed) | dead
  due_at BIGINT NOT NULL,        -- not before then; for leased work, when the lease ends
  holder TEXT,                    -- hld_… of the lease
  attempts BIGINT NOT NULL,
  last_error TEXT,                -- never personal data
  told_at BIGINT NOT NULL,       -- when the vault heard of it first, or heard of it again when it was dead
  began_at BIGINT,               -- of real time: when it began, as the source says
  ended_at BIGINT,               -- of real time: when it ended, as the source says
  PRIMARY KEY (account, sid, kind)
);
CREATE INDEX transcripts_due ON transcripts (due_at) WHERE state = 'due';
CREATE INDEX transcripts_by_source ON transcripts (source_sid) WHERE source_sid IS NOT NULL;
CREATE INDEX transcripts_by_call ON transcripts (call_sid) WHERE call_sid IS NOT NULL;

-- What was said in a running call, piece by piece, until it is one transcript. They do not travel.
CREATE TABLE utterances (
  account TEXT NOT NULL,
  transcription_sid TEXT NOT NULL, -- GT…
  track TEXT NOT NULL,            -- inbound_track | outbound_track | '' (what belongs to no track: beginning and end)
  sequence BIGINT NOT NULL,      -- SequenceId
  sealed BYTEA NOT NULL,           -- sealed under the vault's own key, bound to the four above; empty: no words (a guess, the beginning, the end)
  told_at BIGINT NOT NULL,
  PRIMARY KEY (account, transcription_sid, track, sequence)
);

-- How far an existing account was listed, so that a long listing goes on where it stopped. It does not travel.
CREATE TABLE listings (
  account TEXT PRIMARY KEY,
  since BIGINT NOT NULL,         -- the listing covers what was created from then on
  until BIGINT NOT NULL,         -- and before then
  done_until BIGINT NOT NULL,    -- so far everything created before then was seen
  listed BIGINT NOT NULL,        -- recordings seen
  announced BIGINT NOT NULL,     -- of them, new to the vault
  updated_at BIGINT NOT NULL
);

-- When each account was compared with the source, and what came of it. It does not travel: the next comparison makes it anew.
CREATE TABLE reconciliations (
  account TEXT PRIMARY KEY,
  holder TEXT,                    -- hld_… of the process that compares, or compared last
  until BIGINT NOT NULL,          -- when its lease ends; 0: nobody compares
  tried_at BIGINT NOT NULL,       -- when the last comparison began
  done_at BIGINT,                 -- when the last one ended that came to its end
  found TEXT,                     -- what that one found, a JSON object of counts (flow/reconcile.rs)
  fault TEXT                      -- why the last one did not come to its end; null: it did. Never personal data
);
