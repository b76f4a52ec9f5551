-- Recvault ledger, schema 9: who acts is a person or a service; a token is one of their credentials.

-- Persons and services that act. Rows are never removed: the audit log names them by their id.
CREATE TABLE principals (
  id TEXT PRIMARY KEY,            -- prn_…
  kind TEXT NOT NULL,             -- person | service
  issuer TEXT NOT NULL,           -- who vouches for the subject: local for those named at the command line, else an OIDC issuer
  subject TEXT NOT NULL,          -- what the issuer calls them
  label TEXT NOT NULL,            -- what lists show; the operator's own name for them
  created_at BIGINT NOT NULL,
  UNIQUE (issuer, subject)
);
-- Nobody knows whose the tokens from before are: each is of a principal of its own.
INSERT INTO principals (id, kind, issuer, subject, label, created_at)
  SELECT 'prn_' || substr(id, 5), 'service', 'local', id, label, created_at FROM tokens;

-- As in SQLite, where the table is made anew: grants live for minutes, and are asked for again.
DELETE FROM grants;
-- Whose credential it is.
ALTER TABLE tokens ADD COLUMN principal_id TEXT REFERENCES principals (id);
UPDATE tokens SET principal_id = 'prn_' || substr(id, 5);
ALTER TABLE tokens ALTER COLUMN principal_id SET NOT NULL;
CREATE INDEX tokens_by_principal ON tokens (principal_id);

-- Who asks for an approval and who decides on it are principals (prn_…), and so is whose openings are counted.
ALTER TABLE approvals RENAME COLUMN token_id TO principal_id;
UPDATE approvals SET principal_id = 'prn_' || substr(principal_id, 5), decided_by = 'prn_' || substr(decided_by, 5);
ALTER TABLE budgets RENAME COLUMN token_id TO principal_id;
UPDATE budgets SET principal_id = 'prn_' || substr(principal_id, 5);

-- Snapshots and journal from before this schema know of no principals: a new snapshot is due at the first start.
UPDATE epochs SET snapshot = NULL, snapshot_at = NULL;
