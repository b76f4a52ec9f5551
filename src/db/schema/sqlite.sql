-- The log, the tombstones and the statements of consent only grow, whoever is connected. REPLACE
-- deletes without asking the trigger for deletes.
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_not_replaced BEFORE INSERT ON audit
  WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
  BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER tombstones_unchanged BEFORE UPDATE ON tombstones
  BEGIN SELECT RAISE(ABORT, 'tombstones only grow'); END;
CREATE TRIGGER tombstones_kept BEFORE DELETE ON tombstones
  BEGIN SELECT RAISE(ABORT, 'tombstones only grow'); END;
CREATE TRIGGER tombstones_not_replaced BEFORE INSERT ON tombstones
  WHEN EXISTS (SELECT 1 FROM tombstones WHERE recording_id = NEW.recording_id AND leg = NEW.leg)
  BEGIN SELECT RAISE(ABORT, 'tombstones only grow'); END;
CREATE TRIGGER consents_unchanged BEFORE UPDATE ON consents
  BEGIN SELECT RAISE(ABORT, 'statements of consent only grow'); END;
CREATE TRIGGER consents_kept BEFORE DELETE ON consents
  BEGIN SELECT RAISE(ABORT, 'statements of consent only grow'); END;
CREATE TRIGGER consents_not_replaced BEFORE INSERT ON consents
  WHEN EXISTS (SELECT 1 FROM consents WHERE id = NEW.id)
  BEGIN SELECT RAISE(ABORT, 'statements of consent only grow'); END;

-- A rebuilding reads the entries before their pages; SQLite then looks for the entries of each
-- page that is entered.
CREATE INDEX key_entries_by_page ON key_entries (page_id);
