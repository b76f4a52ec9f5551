//! The copies of one recording at the source that are known, and what one attempt changes of them.
//!
//! Owns the state of each copy. Refuses to know how a copy is found or deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{SourceDeletion, trouble::Trouble};
use crate::{
    db::sources,
    flow::error::Error,
    model::{
        id::RecordingId,
        source::{CopyKind, CopyState, SourceCopy},
        time::Timestamp,
    },
};

/// The identity of a copy.
pub(super) type CopyName = (CopyKind, String);

/// The known copies of a recording.
pub(super) struct CopyBook<'a> {
    pub(super) deletion: &'a SourceDeletion,
    pub(super) recording: RecordingId,
    pub(super) known: BTreeMap<CopyName, SourceCopy>,
    changed: BTreeSet<CopyName>,
}

impl<'a> CopyBook<'a> {
    /// Reads what is known.
    pub(super) async fn of(
        deletion: &'a SourceDeletion,
        recording: RecordingId,
    ) -> Result<Self, Error> {
        let known = sources::of(&mut deletion.db.read().await?, recording).await?;
        let known = known
            .into_iter()
            .map(|copy| ((copy.kind, copy.sid.clone()), copy))
            .collect();
        Ok(Self {
            deletion,
            recording,
            known,
            changed: BTreeSet::new(),
        })
    }

    /// Records these copies, as far as they are new, before anything of them is deleted: after a
    /// crash the database knows what was to be deleted.
    pub(super) async fn enter(
        &mut self,
        names: impl IntoIterator<Item = CopyName>,
    ) -> Result<(), Error> {
        self.enter_as(CopyState::There, names).await
    }

    /// Records that nobody can know any more whether there are copies of this kind: the id is that of
    /// what they are copies of.
    pub(super) async fn enter_unknown(&mut self, name: CopyName) -> Result<(), Error> {
        self.enter_as(CopyState::Unknown, [name]).await
    }

    async fn enter_as(
        &mut self,
        state: CopyState,
        names: impl IntoIterator<Item = CopyName>,
    ) -> Result<(), Error> {
        let now = self.deletion.clock.now();
        let mut new = Vec::new();
        for (kind, sid) in names {
            if !self.known.contains_key(&(kind, sid.clone())) {
                let copy = SourceCopy {
                    state,
                    ..SourceCopy::found(kind, sid, now)
                };
                self.known
                    .insert((copy.kind, copy.sid.clone()), copy.clone());
                new.push(copy);
            }
        }
        self.deletion.note_source(self.recording, &new).await
    }

    /// Returns the copies that this attempt changed.
    pub(super) fn changed(&self) -> Vec<SourceCopy> {
        self.changed
            .iter()
            .filter_map(|name| self.known.get(name))
            .cloned()
            .collect()
    }

    /// Returns when the last copy was gone; `None` if one is left that the vault cannot delete.
    pub(super) fn gone_at(&self) -> Option<Timestamp> {
        let gone = self
            .known
            .values()
            .filter_map(|copy| copy.deleted_at.or(copy.confirmed_at))
            .max();
        let is_left = self
            .known
            .values()
            .any(|copy| copy.state != CopyState::Confirmed);
        (!is_left).then(|| gone.unwrap_or_else(|| self.deletion.clock.now()))
    }

    /// Whether this copy was recorded before.
    pub(super) fn knows(&self, name: &CopyName) -> bool {
        self.known.contains_key(name)
    }

    /// Records that a copy is a recording of its own, which the vault keeps.
    pub(super) fn mark_kept(&mut self, name: &CopyName) {
        self.set(name, |copy| copy.state = CopyState::Kept);
    }

    /// Returns the copies of a kind that may still be there.
    pub(super) fn open(&self, kind: CopyKind) -> Vec<CopyName> {
        let known = self.known.iter();
        known
            .filter(|(name, copy)| {
                name.0 == kind && !matches!(copy.state, CopyState::Confirmed | CopyState::Unknown)
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether the source confirmed the deletion of this copy.
    pub(super) fn is_confirmed(&self, name: &CopyName) -> bool {
        let known = self.known.get(name);
        known.is_some_and(|copy| copy.state == CopyState::Confirmed)
    }

    pub(super) fn mark_deleted(&mut self, name: &CopyName) {
        let now = self.deletion.clock.now();
        self.set(name, |copy| {
            copy.state = CopyState::Deleted;
            if copy.deleted_at.is_none() {
                copy.deleted_at = Some(now);
            }
        });
    }

    pub(super) fn mark_confirmed(&mut self, name: &CopyName, kept_for: Option<Duration>) {
        let now = self.deletion.clock.now();
        self.set(name, |copy| {
            copy.state = CopyState::Confirmed;
            copy.confirmed_at = Some(now);
            copy.left_until = kept_for.map(|kept| copy.deleted_at.unwrap_or(now).after(kept));
        });
    }

    /// Records that the source does not delete this copy yet. Returns what ends the attempt.
    pub(super) fn not_deletable_yet(&mut self, name: &CopyName) -> Trouble {
        let now = self.deletion.clock.now();
        let known = self.known.get(name).and_then(|copy| copy.refused_at);
        let since = known.unwrap_or(now);
        self.set(name, |copy| {
            if matches!(copy.state, CopyState::There | CopyState::NotDeletableYet) {
                copy.state = CopyState::NotDeletableYet;
                copy.refused_at = Some(since);
            }
        });
        Trouble::NotDeletableYet { since }
    }

    /// Records that the source removed the text of a copy whose deletion it refuses.
    pub(super) fn mark_redacted(&mut self, name: &CopyName) {
        let now = self.deletion.clock.now();
        self.set(name, |copy| {
            copy.redacted_at.get_or_insert(now);
        });
    }

    /// Whether the source removed the text of this copy.
    pub(super) fn is_redacted(&self, name: &CopyName) -> bool {
        let known = self.known.get(name);
        known.is_some_and(|copy| copy.redacted_at.is_some())
    }

    pub(super) fn set(&mut self, name: &CopyName, change: impl FnOnce(&mut SourceCopy)) {
        if let Some(copy) = self.known.get_mut(name) {
            change(copy);
            self.changed.insert(name.clone());
        }
    }
}
