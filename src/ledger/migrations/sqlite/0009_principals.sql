-- Recvault ledger, schema 9: who acts is a person or a service; a token is one of their credentials.

-- Persons and services that act. Rows are never removed: the audit log names them by their id.
CREATE TABLE principals (
  id TEXT PRIMARY KEY,            -- prn_…
  kind TEXT NOT NULL,             -- person | service
  issuer TEXT NOT NULL,           -- who vouches for the subject: local for those named at the command line, else an OIDC issuer
  subject TEXT NOT NULL,          -- what the issuer calls them
  label TEXT NOT NULL,            -- what lists show; the operator's own name for them
  created_at INTEGER NOT NULL,
  UNIQUE (issuer, subject)
);
-- Nobody knows whose the tokens from before are: each is of a principal of its own.
INSERT INTO principals (id, kind, issuer, subject, label, created_at)
  SELECT 'prn_' || substr(id, 5), 'service', 'local', id, label, created_at FROM tokens;

-- Grants live for minutes, and are asked for again; they would hold the old table.
DELETE FROM grants;
CREATE TABLE tokens_of_principals (
  id TEXT PRIMARY KEY,            -- tok_…
  hash TEXT NOT NULL UNIQUE,      -- SHA-256 of the token's 256 random bits, lower-case hex
  label TEXT NOT NULL,            -- operator's own name for it
  roles TEXT NOT NULL,            -- JSON array
  accounts TEXT NOT NULL,         -- JSON array of AC…; empty: all
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER,
  attributes TEXT NOT NULL DEFAULT '{}', -- values by label of the policy, a JSON object of arrays of texts
  principal_id TEXT NOT NULL REFERENCES principals (id) -- whose credential it is
);
INSERT INTO tokens_of_principals (id, hash, label, roles, accounts, created_at, expires_at, revoked_at, attributes, principal_id)
  SELECT id, hash, label, roles, accounts, created_at, expires_at, revoked_at, attributes, 'prn_' || substr(id, 5) FROM tokens;
DROP TABLE tokens;
ALTER TABLE tokens_of_principals RENAME TO tokens;
CREATE INDEX tokens_by_principal ON tokens (principal_id);

-- Who asks for an approval and who decides on it are principals (prn_…), and so is whose openings are counted.
ALTER TABLE approvals RENAME COLUMN token_id TO principal_id;
UPDATE approvals SET principal_id = 'prn_' || substr(principal_id, 5), decided_by = 'prn_' || substr(decided_by, 5);
ALTER TABLE budgets RENAME COLUMN token_id TO principal_id;
UPDATE budgets SET principal_id = 'prn_' || substr(principal_id, 5);

-- Snapshots and journal from before this schema know of no principals: a new snapshot is due at the first start.
UPDATE epochs SET snapshot = NULL, snapshot_at = NULL;
