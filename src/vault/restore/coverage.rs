//! Coverage: how far each timeline of the log is in the store, and what is missing.
//!
//! Files of several timelines occur together if a process of a lost database continued to write, or
//! if the newest snapshot is corrupt. The log that a restore continues, the main one, is that of
//! the newest timeline. Owns the counting, each timeline along its own path. Refuses to open files.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    db::gaps::Gap,
    model::timeline::{LogPath, LogPoint, Timeline},
    vault::recovery::Header,
};

/// The covered and missing numbers of each timeline.
pub(super) struct Coverage {
    main: LogPath,
    /// The number up to which each timeline is present, or reported as missing.
    reached: BTreeMap<Timeline, i64>,
    gaps: BTreeSet<Gap>,
}

impl Coverage {
    /// Begins with a snapshot, which has everything on its path.
    pub(super) fn of(snapshot: &Header, main: LogPath) -> Self {
        let reached = snapshot.path.forks().iter().map(|fork| {
            let end = snapshot.path.end_of(fork.timeline);
            (fork.timeline, snapshot.seq.min(end.unwrap_or(fork.behind)))
        });
        Self {
            reached: reached.collect(),
            main,
            gaps: BTreeSet::new(),
        }
    }

    /// Adds a piece of the journal, whose predecessor may be missing.
    pub(super) fn add(&mut self, piece: &Header, missing: Option<LogPoint>) {
        let reached = self.reached_on(&piece.path);
        let on_path = missing.filter(|missing| piece.path.holds(*missing));
        if let Some(elsewhere) = missing
            && on_path.is_none()
        {
            self.miss_elsewhere(elsewhere);
        }
        if on_path.is_some() || piece.since > reached {
            let last = on_path.map_or(piece.since, |missing| missing.seq.max(piece.since));
            self.miss(&piece.path, (reached + 1).min(last), last);
        }
        self.reached
            .insert(piece.path.current(), reached.max(piece.seq));
    }

    /// Ends the counting: reports a gap if a later entry than the last one read is known.
    pub(super) fn end_before(&mut self, known: LogPoint) {
        if known.timeline == self.main.current() {
            let main = self.main.clone();
            let reached = self.reached_on(&main);
            self.miss(&main, (reached + 1).min(known.seq), known.seq);
        } else {
            self.miss_elsewhere(known);
        }
    }

    /// Returns the gaps, in order.
    pub(super) fn gaps(self) -> Vec<Gap> {
        self.gaps.into_iter().collect()
    }

    /// Returns the number up to which a log is present.
    fn reached_on(&self, path: &LogPath) -> i64 {
        let mut forks = path.forks().iter().rev();
        let reached = forks.find_map(|fork| {
            let reached = *self.reached.get(&fork.timeline)?;
            Some(reached.min(path.end_of(fork.timeline)?))
        });
        reached.unwrap_or(0)
    }

    /// Reports these numbers of a log as missing: those shared with the main log under the main
    /// log, the rest under the log's own timeline.
    fn miss(&mut self, path: &LogPath, first: i64, last: i64) {
        let shared = self.main.shared_with(path);
        if first <= shared {
            self.name(Gap {
                timeline: None,
                first,
                last: last.min(shared),
            });
        }
        if last > shared {
            self.name(Gap {
                timeline: Some(path.current()),
                first: first.max(shared + 1),
                last,
            });
        }
    }

    /// Adds a gap, unless a recorded gap contains it: each successor of a missing last piece before
    /// a restore reports it.
    fn name(&mut self, gap: Gap) {
        let is_named = self.gaps.iter().any(|named| {
            named.timeline == gap.timeline && named.first <= gap.first && gap.last <= named.last
        });
        if !is_named {
            self.gaps.insert(gap);
        }
    }

    /// Reports a gap in a timeline whose path is unknown.
    fn miss_elsewhere(&mut self, known: LogPoint) {
        let reached = self.reached.get(&known.timeline);
        let first = reached.map_or(known.seq, |reached| known.seq.min(reached + 1));
        self.name(Gap {
            timeline: Some(known.timeline),
            first,
            last: known.seq,
        });
    }
}
