//! Corrections of the catalogue data and the parties of a recording (Article 16 GDPR). The audio is
//! never changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    effects::Effects,
    scope::{parties_in, scopes_of},
};
use crate::{
    db::{
        self, Db, Tx, details,
        outbox::OutboxKind,
        parties::{self, Vouched},
        quarantine::AffectedScope,
        recordings, revocations,
    },
    evidence::NewEntry,
    flow::{
        erasure::quarantine::{ConsentChange, Deadline, Settled},
        error::Error,
        refusal::shredded,
        units::unit_with_keys,
        wakeups::Wakeups,
    },
    model::{
        details::Participant,
        id::{RecordingId, SubjectId},
        name::{Label, LegName},
        recording::{Recording, RecordingState},
        subject::{Address, Conversation, Party, PartyScope},
        text::LabelValue,
        time::{Clock, Timestamp},
    },
    policy::{Permit, Rulebook, action},
    vault::{self, Keeping, Vault},
};

/// The corrections to apply.
#[derive(Clone, Debug, Default)]
pub struct Correction {
    /// New values by label; `None` removes a label. Other labels are not changed.
    pub labels: BTreeMap<Label, Option<LabelValue>>,
    /// The correct party of each leg; `None` for an unknown one. Other legs are not changed.
    pub parties: Vec<(LegName, Option<Address>)>,
}

/// Corrects catalogue data.
pub struct Corrections {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    wakeups: Wakeups,
    effects: Effects,
}

impl Corrections {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        wakeups: Wakeups,
        effects: Effects,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            wakeups,
            effects,
        }
    }

    /// Corrects data of a recording and logs the names of the changed fields, never their values.
    /// Setting a value that is already set changes nothing. Quarantine begins or ends according to
    /// the consents of the new parties. Their earlier revocations apply as described at
    /// [`PartyRegister::name`](super::parties::PartyRegister::name).
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover;
    /// [`Error::Invalid`], which names the field; [`Error::Shredded`].
    pub async fn correct(
        &self,
        permit: &Permit<action::Correct>,
        id: RecordingId,
        correction: &Correction,
    ) -> Result<Recording, Error> {
        self.check(correction)?;
        let mut tx = self.db.read().await?;
        let recording = recordings::find(&mut tx, id).await?;
        let recording = recording
            .filter(|recording| permit.covers(recording.account()))
            .ok_or(Error::NotFound)?;
        if recording.state == RecordingState::Shredded {
            drop(tx);
            return Err(shredded(&self.db, id).await?);
        }
        let conversation = if correction.parties.is_empty() {
            None
        } else {
            Some(named(&mut tx, &recording).await?)
        };
        drop(tx);
        let now = self.clock.now();
        // Who was named for every account is corrected by who may see every account.
        let mut scopes = vec![PartyScope::from(recording.account())];
        scopes.extend(
            scopes_of(permit)
                .into_iter()
                .filter(|scope| *scope == PartyScope::Every),
        );
        let vouched = Vouched::by(permit.also(action::Revoke).as_ref());
        let news = ConsentChange {
            bearing: AffectedScope::of(conversation.iter(), []),
            actor: permit.initiator(),
            narrows: true,
            deadline: Deadline::by(permit),
        };
        let corrected = unit_with_keys(
            &self.db,
            &self.vault,
            "correction.correct",
            async |mut unit| {
                // All recordings of the conversation are locked in one order, before a single one
                // is, and the names before them.
                if let Some(conversation) = &conversation {
                    let people = correction.parties.iter().filter_map(|(_, to)| to.as_ref());
                    let people = people.map(|address| self.vault.subject(address));
                    parties::lock(&mut unit, conversation, people).await?;
                    details::lock(&mut unit, conversation).await?;
                }
                let labels = recordings::change_labels(&mut unit, id, &correction.labels).await?;
                let mut fields: Vec<String> = labels
                    .iter()
                    .map(|label| format!("labels.{label}"))
                    .collect();
                if !fields.is_empty() {
                    unit.to_journal(OutboxKind::Recording, &[id], now);
                }
                let mut entries = Vec::new();
                let mut next = None;
                let mut again = Vec::new();
                if let Some(conversation) = &conversation {
                    let moved = self
                        .move_parties(
                            &mut unit,
                            (conversation, &scopes),
                            &correction.parties,
                            &vouched,
                            now,
                        )
                        .await?;
                    if !moved.is_empty() {
                        let told = correction
                            .parties
                            .iter()
                            .filter(|(leg, _)| moved.contains(leg));
                        let told = told.map(|(leg, address)| Participant {
                            address: address.clone(),
                            ..Participant::at(leg.clone())
                        });
                        let told: Vec<Participant> = told.collect();
                        for scope in &scopes {
                            let place = (conversation, scope);
                            self.vault
                                .keep_details(&mut unit, place, &told, Keeping::Corrects, now)
                                .await?;
                        }
                        again = revocations::reach_again(&mut unit, conversation, now).await?;
                        unit.to_journal(OutboxKind::Conversation, &[conversation], now);
                        (entries, next) = self
                            .effects
                            .quarantine
                            .settle(&mut unit, &news, self.effects.quarantine.first_step(), now)
                            .await?;
                    }
                    fields.extend(moved.iter().map(|leg| format!("parties.{leg}")));
                }
                if !fields.is_empty() {
                    entries.insert(
                        0,
                        NewEntry::recording_corrected(now, permit.initiator(), id, &fields),
                    );
                }
                let settled = Settled::of(&entries);
                unit.audit_all(entries);
                Ok((settled, next, again))
            },
        );
        let (mut settled, next, again) = match corrected.await {
            Ok(done) => done,
            // It was shredded between the check and the unit.
            Err(Error::Vault(vault::Error::Db(db::Error::Stale(_)))) => {
                return Err(shredded(&self.db, id).await?);
            }
            Err(other) => return Err(other),
        };
        self.effects
            .quarantine
            .settle_rest(&news, next, &mut settled)
            .await?;
        if let Some(conversation) = &conversation {
            self.effects
                .reclassification
                .reclassify_conversation(conversation)
                .await?;
            let revocations = &self.effects.revocations;
            revocations.warn_of_unvouched(conversation).await;
        }
        self.effects.revocations.continue_for_a_while(&again).await;
        self.wakeups.journal.notify_one();
        recordings::find(&mut self.db.read().await?, id)
            .await?
            .ok_or(Error::NotFound)
    }

    /// Replaces the parties of these legs, as they count for the first of these scopes. Returns the
    /// legs whose party changed.
    async fn move_parties(
        &self,
        tx: &mut Tx,
        (conversation, scopes): (&Conversation, &[PartyScope]),
        corrected: &[(LegName, Option<Address>)],
        vouched: &Vouched,
        now: Timestamp,
    ) -> Result<BTreeSet<LegName>, Error> {
        let own = scopes.get(..1).unwrap_or_default();
        let known = by_leg(parties_in(tx, own, conversation).await?);
        let mut moved = BTreeSet::new();
        for (leg, address) in corrected {
            let subject = address.as_ref().map(|address| self.vault.subject(address));
            match known.get(leg) {
                None => {
                    return Err(Error::Invalid(format!(
                        "`parties`: no party is named `{leg}`; name it first, a correction needs \
                         an existing party"
                    )));
                }
                Some(before) if *before == [subject] => {}
                Some(_) => {
                    let place = (conversation, leg);
                    match parties::correct(tx, place, scopes, subject, vouched, now).await {
                        Err(db::Error::Stale(_)) => return Err(named_for_all(leg)),
                        corrected => corrected?,
                    }
                    moved.insert(leg.clone());
                }
            }
        }
        let after = by_leg(parties_in(tx, own, conversation).await?);
        for (leg, address) in corrected {
            let subject = address.as_ref().map(|address| self.vault.subject(address));
            if after.get(leg).is_none_or(|there| *there != [subject]) {
                return Err(named_for_all(leg));
            }
        }
        Ok(moved)
    }

    fn check(&self, correction: &Correction) -> Result<(), Error> {
        if correction.labels.is_empty() && correction.parties.is_empty() {
            return Err(Error::Invalid(
                "nothing to correct: name at least one of `labels` and `parties`".into(),
            ));
        }
        let declared = &self.rulebook.current().document().collection.labels;
        for label in correction.labels.keys() {
            if !declared.contains(label) {
                return Err(Error::Invalid(format!(
                    "`labels.{label}`: the policy declares no such label; add it to `labels` in \
                     `[collection]`"
                )));
            }
        }
        if correction
            .parties
            .iter()
            .map(|(leg, _)| leg)
            .collect::<BTreeSet<_>>()
            .len()
            != correction.parties.len()
        {
            return Err(Error::Invalid("`parties`: a `leg` is given twice".into()));
        }
        Ok(())
    }
}

/// Returns whoever is named at each leg.
fn by_leg(parties: Vec<Party>) -> BTreeMap<LegName, Vec<Option<SubjectId>>> {
    let mut legs: BTreeMap<LegName, Vec<Option<SubjectId>>> = BTreeMap::new();
    for party in parties {
        legs.entry(party.leg).or_default().push(party.subject);
    }
    legs
}

/// The error of a correction by somebody who may not see every account.
fn named_for_all(leg: &LegName) -> Error {
    Error::Conflict(format!(
        "the party at `{leg}` was named for the recordings of every account; correct it with access \
         to every account"
    ))
}

/// Returns the conversation whose parties apply to a recording: its conference if that has named
/// parties, otherwise its call.
async fn named(tx: &mut Tx, recording: &Recording) -> Result<Conversation, Error> {
    let both: Vec<Conversation> = recording.conversations().collect();
    let scope = PartyScope::from(recording.account());
    let known = parties::of(tx, &scope, &both).await?;
    let first = both
        .into_iter()
        .find(|conversation| known.contains_key(conversation));
    first.ok_or_else(|| {
        Error::Conflict(
            "no party of this recording is named: name the parties first, a correction needs \
                        existing parties"
                .into(),
        )
    })
}
