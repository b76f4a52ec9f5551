-- Recvault ledger, schema 8: whose clock is believed.

-- How often the turn was taken, or taken away: what a turner does counts only while this is the number that it was given.
ALTER TABLE turner ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;

-- The last time that was believed. Scheduled destruction stops where the clock is far from it.
CREATE TABLE clock (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  read_at INTEGER NOT NULL,           -- the newest time that a process read from its clock and believed; never later than the clock of that moment
  accepted INTEGER NOT NULL DEFAULT 0 -- how often an operator accepted another time
);
-- A vault from before knows the time of its newest entry.
INSERT INTO clock (one, read_at) SELECT 1, MAX(at) FROM audit HAVING MAX(at) IS NOT NULL;
