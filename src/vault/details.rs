//! The participants of a recording in the clear, sealed under a key that is destroyed with the
//! recording's key.
//!
//! Owns these keys, and the transfer of details that were reported before a recording was sealed.
//! Refuses to know who may see them: it requires a [`Grant`]. INVARIANTS
//! - Sealed details of a leg belong to the party that is named there; details of a corrected party
//!   are dropped.
//! - Details that wait for a recording are sealed under a key of the epoch (see `waiting`), and are
//!   removed once a recording has them.

use zeroize::Zeroizing;

use super::{
    Inner, Vault,
    error::Error,
    waiting::{EpochShared, PendingSlot},
};
use crate::{
    db::{
        self, Tx, Unit, details,
        outbox::OutboxKind,
        parties,
        waiting::{self, PendingPlace},
    },
    keyring::{self, details_key, open_note, seal_note},
    model::{
        artefact::{Artefact, Leg},
        details::{Participant, Participants},
        id::{GrantId, RecordingId},
        name::LegName,
        recording::Recording,
        subject::{Conversation, Party, PartyScope},
        time::Timestamp,
    },
    policy::Grant,
    secret::Key,
};

/// How reported details of parties are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Stored in the sealed recordings of the conversation; if there is none, they wait for one.
    Waits,
    /// Stored in the sealed recordings of the conversation; if there is none, the caller passes
    /// them again when a recording is sealed.
    Carried,
    /// As [`Self::Waits`], but they replace earlier details.
    Corrects,
}

impl Vault {
    /// Loads the root key of the present epoch. Returns whether the epoch differs from `held`,
    /// whether this task or another noticed the turn: a unit that failed for that reason must then
    /// be run again.
    ///
    /// # Errors
    /// Those of custody and database.
    pub async fn follow_from(&self, held: u64) -> Result<bool, Error> {
        self.0.follow().await?;
        Ok(self.epoch() != held)
    }

    /// Seals reported details of a conversation's parties, in the unit that names the parties in
    /// this scope and after naming them; the unit began with [`Self::hold_epoch`]. Returns whether
    /// anything changed. Details are dropped for a leg where another party is named.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`] if stored details are not authentic, or if
    /// [`Self::follow_from`] must be called.
    pub async fn keep_details(
        &self,
        unit: &mut Unit,
        (conversation, scope): (&Conversation, &PartyScope),
        told: &[Participant],
        keeping: Keeping,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let vault = &*self.0;
        let parties = parties::of(unit, scope, std::slice::from_ref(conversation))
            .await?
            .remove(conversation)
            .unwrap_or_default();
        let recordings = details::sealed_of(unit, scope, conversation).await?;
        if recordings.is_empty() {
            return match keeping {
                Keeping::Carried => Ok(false),
                Keeping::Waits | Keeping::Corrects => {
                    let present = vault.lock_epoch_shared(unit).await?;
                    vault
                        .let_wait(
                            unit,
                            &present,
                            (conversation, scope),
                            told,
                            &parties,
                            keeping,
                        )
                        .await
                }
            };
        }
        let keys = vault.record_keys(unit, &recordings, Leg::All).await?;
        let mut sealed = details::find(unit, &recordings).await?;
        let owned = details::owned_by_some(unit, &recordings).await?;
        let concerns = |id: &RecordingId, leg: &LegName| {
            let legs = owned.get(id);
            legs.is_none_or(|legs| legs.contains(leg))
        };
        let mut changed = Vec::new();
        for (id, key) in keys {
            let concerned = |leg: &LegName| concerns(&id, leg);
            let before = sealed
                .remove(&id)
                .map(|sealed| vault.open_sealed(id, &key, &sealed))
                .transpose()?;
            let mut after = before.clone().unwrap_or_default();
            let told = told.iter().filter(|told| concerned(&told.leg)).cloned();
            match keeping {
                Keeping::Corrects => after.correct(told),
                Keeping::Waits | Keeping::Carried => after.complete(told),
            }
            let theirs = parties.iter().filter(|party| concerned(&party.leg));
            let theirs: Vec<Party> = theirs.cloned().collect();
            let after = after.agreeing(&theirs, |address| vault.subject(address));
            if before.is_none() && !after.is_personal() || before.as_ref() == Some(&after) {
                continue;
            }
            details::put(unit, id, &vault.sealed(id, &key, &after), now).await?;
            changed.push(id);
        }
        if !changed.is_empty() {
            unit.to_journal(OutboxKind::Recording, &changed, now);
        }
        let homeless: Vec<Participant> = told
            .iter()
            .filter(|told| recordings.iter().all(|id| !concerns(id, &told.leg)))
            .cloned()
            .collect();
        let mut has_waiting = false;
        if keeping != Keeping::Carried && !homeless.is_empty() {
            let present = vault.lock_epoch_shared(unit).await?;
            has_waiting = vault
                .let_wait(
                    unit,
                    &present,
                    (conversation, scope),
                    &homeless,
                    &parties,
                    keeping,
                )
                .await?;
        }
        Ok(has_waiting || !changed.is_empty())
    }

    /// Returns the participants of a recording, in the form of [`Participants::to_json`]. When this
    /// returns, the audit entry of the disclosure is durable; the first opening of a recording on a
    /// day counts against the budget.
    ///
    /// # Errors
    /// [`Error::GrantEnded`]; [`Error::Gone`] if the grant does not give it, nothing of it is sealed,
    /// or the recording is shredded; [`Error::BudgetSpent`].
    pub async fn open_details(
        &self,
        grant: &Grant,
        id: GrantId,
    ) -> Result<Zeroizing<String>, Error> {
        let vault = &*self.0;
        let recording = grant.recording();
        if !grant.view().gives(Artefact::Parties) {
            return Err(Error::Gone);
        }
        vault
            .unit("details.open_details", async |mut unit| {
                let now = vault.clock.now();
                let key = vault.record_key(&mut unit, recording, Leg::All).await?;
                let sealed = details::find(&mut unit, &[recording])
                    .await?
                    .remove(&recording)
                    .ok_or(Error::Gone)?;
                let text = vault.open_sealed(recording, &key, &sealed)?.to_json();
                let range = 0..text.len() as u64;
                vault
                    .enter_opening(&mut unit, grant, id, Artefact::Parties, &range, now)
                    .await?;
                Ok(text)
            })
            .await
    }

    /// Checks whether they could be opened now. Discloses nothing, so it is no opening.
    ///
    /// # Errors
    /// As [`Self::open_details`].
    pub async fn could_open_details(&self, grant: &Grant) -> Result<(), Error> {
        let vault = &*self.0;
        let recording = grant.recording();
        if !grant.view().gives(Artefact::Parties) {
            return Err(Error::Gone);
        }
        vault.has_room(grant).await?;
        let key = self.readable_key(recording, Leg::All).await?;
        let sealed = details::find(&mut vault.db.read().await?, &[recording])
            .await?
            .remove(&recording)
            .ok_or(Error::Gone)?;
        vault.open_sealed(recording, &key, &sealed)?;
        Ok(())
    }
}

impl Inner {
    /// Seals the participants of a recording that is about to be sealed and whose row is locked:
    /// those that wait in its conversation, those of the conversation's other recordings, and those
    /// that the caller passes. The unit holds the epoch.
    pub(super) async fn adopt_participants(
        &self,
        unit: &mut Unit,
        recording: &Recording,
        key: &Key,
        along: &[Participant],
        now: Timestamp,
    ) -> Result<(), Error> {
        let both: Vec<Conversation> = recording.conversations().collect();
        if both.is_empty() {
            return Ok(());
        }
        let scope = PartyScope::from(recording.account());
        let mut named = parties::of(unit, &scope, &both).await?;
        let Some(conversation) = both
            .into_iter()
            .find(|conversation| named.contains_key(conversation))
        else {
            return Ok(());
        };
        let mut parties = named.remove(&conversation).unwrap_or_default();
        parties.retain(|party| recording.concerns(&party.leg));
        let mut known = self.known_from_waiting(unit, &scope, &conversation).await?;
        let siblings = self.known_from_siblings(unit, recording, &conversation);
        known.complete(siblings.await?.iter().cloned());
        known.complete(along.iter().cloned());
        let known = known.agreeing(&parties, |address| self.subject(address));
        if known.is_personal() {
            let sealed = self.sealed(recording.id, key, &known);
            details::put(unit, recording.id, &sealed, now).await?;
        }
        let cleared = self.clear_waiting(unit, recording, conversation).await?;
        if !cleared.is_empty() {
            unit.to_journal(OutboxKind::Conversation, &cleared, now);
        }
        Ok(())
    }

    /// Deletes the details that the recording has now: of a recording that belongs to some parties, only
    /// theirs.
    async fn clear_waiting(
        &self,
        unit: &mut Unit,
        recording: &Recording,
        conversation: Conversation,
    ) -> Result<Vec<Conversation>, Error> {
        let scope = PartyScope::from(recording.account());
        let Some(legs) = recording.only_of() else {
            return Ok(waiting::clear(unit, &scope, &[conversation]).await?);
        };
        let mut is_cleared = false;
        for leg in &legs {
            is_cleared |= waiting::clear_leg(unit, &scope, &conversation, leg).await?;
        }
        Ok(is_cleared.then_some(conversation).into_iter().collect())
    }

    /// Returns the participants that wait in a conversation.
    async fn known_from_waiting(
        &self,
        tx: &mut Tx,
        scope: &PartyScope,
        conversation: &Conversation,
    ) -> Result<Participants, Error> {
        let mut known = Participants::default();
        let waits = waiting::find(tx, scope, std::slice::from_ref(conversation)).await?;
        for (place, sealed) in waits {
            let waiting = readable(self.waiting(&place, &sealed))?;
            known.complete(waiting.iter().cloned());
        }
        Ok(known)
    }

    /// Returns the participants of a conversation's other recordings.
    async fn known_from_siblings(
        &self,
        tx: &mut Tx,
        recording: &Recording,
        conversation: &Conversation,
    ) -> Result<Participants, Error> {
        let mut known = Participants::default();
        let scope = PartyScope::from(recording.account());
        let mut others = details::sealed_of(tx, &scope, conversation).await?;
        others.retain(|id| *id != recording.id);
        if others.is_empty() {
            return Ok(known);
        }
        let mut sealed = details::find(tx, &others).await?;
        if sealed.is_empty() {
            return Ok(known);
        }
        for (id, key) in self.record_keys(tx, &others, Leg::All).await? {
            if let Some(sealed) = sealed.remove(&id) {
                let details = readable(self.open_sealed(id, &key, &sealed))?;
                known.complete(details.iter().cloned());
            }
        }
        Ok(known)
    }

    /// Stores details until a recording is sealed, for legs that these parties have. Returns
    /// whether anything changed.
    async fn let_wait(
        &self,
        tx: &mut Tx,
        present: &EpochShared,
        (conversation, scope): (&Conversation, &PartyScope),
        told: &[Participant],
        parties: &[Party],
        keeping: Keeping,
    ) -> Result<bool, Error> {
        let waits = waiting::find(tx, scope, std::slice::from_ref(conversation)).await?;
        let mut changed = false;
        for told in told {
            let Some(party) = parties.iter().find(|party| party.leg == told.leg) else {
                continue;
            };
            let place = PendingPlace {
                conversation: conversation.clone(),
                scope: scope.clone(),
                leg: told.leg.clone(),
            };
            let before = waits
                .get(&place)
                .map(|sealed| self.waiting(&place, sealed))
                .transpose()?
                .unwrap_or_default();
            let mut after = before.clone();
            match keeping {
                Keeping::Corrects => after.correct([told.clone()]),
                Keeping::Waits | Keeping::Carried => after.complete([told.clone()]),
            }
            let after =
                after.agreeing(std::slice::from_ref(party), |address| self.subject(address));
            if after == before || !after.is_personal() && !before.is_personal() {
                continue;
            }
            let sealed = if after.is_personal() {
                self.seal_waiting(present, PendingSlot::Party(&place), &after.to_json())
            } else {
                Vec::new()
            };
            match waiting::put(tx, &place, &sealed).await {
                // They are named for every account, and nothing more was told of them here.
                Err(db::Error::Stale(_)) => {}
                put => {
                    put?;
                    changed = true;
                }
            }
        }
        Ok(changed)
    }

    fn waiting(&self, place: &PendingPlace, sealed: &[u8]) -> Result<Participants, Error> {
        let text = self.open_waiting(PendingSlot::Party(place), sealed)?;
        Participants::parse(&text).ok_or(Error::BrokenDetails)
    }

    pub(super) fn sealed(&self, id: RecordingId, key: &Key, details: &Participants) -> Vec<u8> {
        seal_note(
            &details_key(key, id),
            self.id,
            &details.to_json(),
            &mut rand::rng(),
        )
    }

    pub(super) fn open_sealed(
        &self,
        id: RecordingId,
        key: &Key,
        sealed: &[u8],
    ) -> Result<Participants, Error> {
        let text = open_note(&details_key(key, id), self.id, sealed)?;
        Participants::parse(&text).ok_or(Error::BrokenDetails)
    }
}

/// Returns the opened details. A tampered row must not stop a recording from being sealed, so it is
/// dropped and logged.
fn readable(opened: Result<Participants, Error>) -> Result<Participants, Error> {
    match opened {
        Err(Error::BrokenDetails | Error::Keyring(keyring::Error::NotAuthentic)) => {
            tracing::error!(
                "participants of a conversation in the database are not authentic, and are dropped"
            );
            Ok(Participants::default())
        }
        opened => opened,
    }
}
