//! The parties of conversations.
//!
//! Owns how parties are named, by an application with a permit or by the vault from data of the
//! source. Refuses to replace a known party: that is a correction.

pub(in crate::flow) mod joining;
pub(in crate::flow) mod members;

use std::collections::BTreeSet;

use super::{
    effects::Effects,
    participants::{match_by_leg, match_participants},
    scope::{covers, parties_in, scopes_of},
};
use crate::{
    db::{
        Db, Unit, details,
        outbox::OutboxKind,
        parties::{self, Naming, Vouched},
        quarantine::AffectedScope,
        revocations,
    },
    evidence::NewEntry,
    flow::{
        erasure::quarantine::{ConsentChange, Deadline, QuarantineProgress, Settled},
        error::Error,
        units::unit_with_keys,
        wakeups::Wakeups,
    },
    model::{
        actor::Initiator,
        details::Participant,
        id::RevocationId,
        name::LegName,
        sid::AccountSid,
        subject::{Address, Conversation, Party, PartyScope, Presence},
        time::{Clock, Timestamp},
    },
    policy::{Permit, action},
    vault::{Keeping, Vault},
};

/// The most parties that one request names. A conference at Twilio has at most 250 participants.
const MAX_PARTIES: usize = 250;

/// The origin of a naming.
#[derive(Clone, Copy)]
enum By<'a> {
    /// An application. Another person on a known leg is a conflict.
    Application(&'a Permit<action::Consent>),
    /// The vault, from data that the source has of this account. Known parties stay, and the others
    /// get the remaining legs.
    Vault(&'a AccountSid),
}

impl By<'_> {
    fn actor(self) -> Initiator {
        match self {
            Self::Application(permit) => permit.initiator(),
            Self::Vault(_) => Initiator::Vault,
        }
    }

    /// Returns the scopes in which the parties are named.
    fn scopes(self) -> Vec<PartyScope> {
        match self {
            Self::Application(permit) => scopes_of(permit),
            Self::Vault(account) => vec![PartyScope::from(account)],
        }
    }
}

/// The result of naming parties in the vault's own name.
#[derive(Clone, Debug)]
pub(in crate::flow) struct MatchedParticipants {
    /// The participants that have a leg now, with the leg.
    pub(in crate::flow) parties: Vec<Participant>,
    /// The number of participants without one, because another party has it.
    pub(in crate::flow) taken: usize,
}

/// What a naming changed, and what of it is still to be done.
#[derive(Default)]
struct Named {
    settled: Settled,
    next: Option<QuarantineProgress>,
    /// Revocations that run again.
    again: Vec<RevocationId>,
}

/// Names parties of conversations.
pub struct PartyRegister {
    vault: Vault,
    db: Db,
    clock: Clock,
    wakeups: Wakeups,
    effects: Effects,
}

impl PartyRegister {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        clock: Clock,
        wakeups: Wakeups,
        effects: Effects,
    ) -> Self {
        Self {
            vault,
            db,
            clock,
            wakeups,
            effects,
        }
    }

    /// Names parties of a conversation and returns all its parties. Naming the same again changes
    /// nothing. An unknown party may become known; a known party stays the same.
    ///
    /// A party may have revoked before. Recordings are shredded for that only if the permit comes
    /// with the `revoke` action; otherwise they wait until a caller with that action names the
    /// party again or revokes. The result is the same in both cases, so that it does not reveal who
    /// has revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the permit does not cover a recording of this conversation;
    /// [`Error::Invalid`]; [`Error::Conflict`] if another person was named on one of these legs.
    pub async fn name(
        &self,
        permit: &Permit<action::Consent>,
        conversation: &Conversation,
        named: &[(LegName, Option<Address>)],
    ) -> Result<Vec<Party>, Error> {
        if named.is_empty() || named.len() > MAX_PARTIES {
            return Err(Error::Invalid(format!(
                "`parties`: name 1 to {MAX_PARTIES}"
            )));
        }
        if named
            .iter()
            .map(|(leg, _)| leg)
            .collect::<BTreeSet<_>>()
            .len()
            != named.len()
        {
            return Err(Error::Invalid("`parties`: a `leg` is given twice".into()));
        }
        let told = |(leg, address): &(LegName, Option<Address>)| Participant {
            address: address.clone(),
            ..Participant::at(leg.clone())
        };
        let told: Vec<Participant> = named.iter().map(told).collect();
        self.match_participants(By::Application(permit), conversation, &told, Keeping::Waits)
            .await?;
        let mut tx = self.db.read().await?;
        Ok(parties_in(&mut tx, &scopes_of(permit), conversation).await?)
    }

    /// Names the participants that the source reported of this account, in the vault's own name;
    /// known parties keep their legs. They are named for the account's recordings only. A naming can make an earlier revocation apply, which shreds recordings.
    ///
    /// # Errors
    /// Any database error; then nobody was named.
    pub(in crate::flow) async fn name_found(
        &self,
        account: &AccountSid,
        conversation: &Conversation,
        found: &[Participant],
        keeping: Keeping,
    ) -> Result<MatchedParticipants, Error> {
        let found = found.get(..MAX_PARTIES).unwrap_or(found);
        let matched = self
            .match_participants(By::Vault(account), conversation, found, keeping)
            .await?;
        if matched.taken > 0 {
            tracing::warn!(
                %conversation, taken = matched.taken,
                "Twilio names other parties than before; the earlier parties stay, and only a \
                 correction changes them"
            );
        }
        Ok(matched)
    }

    /// Names parties for an application or for the vault and applies the consequences.
    async fn match_participants(
        &self,
        by: By<'_>,
        conversation: &Conversation,
        told: &[Participant],
        keeping: Keeping,
    ) -> Result<MatchedParticipants, Error> {
        // A new party may not have consented.
        let news = ConsentChange {
            bearing: AffectedScope::of([conversation], []),
            actor: by.actor(),
            narrows: true,
            deadline: match by {
                By::Application(permit) => Deadline::by(permit),
                By::Vault(_) => Deadline::New,
            },
        };
        let (matched, named) = unit_with_keys(
            &self.db,
            &self.vault,
            "parties.name_parties",
            async |mut unit| {
                self.name_in_a_unit(&mut unit, by, conversation, told, keeping, &news)
                    .await
            },
        )
        .await?;
        self.wakeups.journal.notify_one();
        let again = self
            .finish(conversation, &news, named.unwrap_or_default())
            .await?;
        match by {
            By::Application(_) => {
                let revocations = &self.effects.revocations;
                revocations.warn_of_unvouched(conversation).await;
                revocations.continue_for_a_while(&again).await;
            }
            // This runs inside a request of the source or a fetch, which must not work on other
            // people's revocations.
            By::Vault(_) => self.wakeups.work.notify_one(),
        }
        Ok(matched)
    }

    async fn name_in_a_unit(
        &self,
        unit: &mut Unit,
        by: By<'_>,
        conversation: &Conversation,
        told: &[Participant],
        keeping: Keeping,
        news: &ConsentChange,
    ) -> Result<(MatchedParticipants, Option<Named>), Error> {
        let now = self.clock.now();
        let people = told.iter().filter_map(|found| found.address.as_ref());
        let people = people.map(|address| self.vault.subject(address));
        parties::lock(unit, conversation, people).await?;
        details::lock(unit, conversation).await?;
        let vouched = match by {
            By::Application(permit) => Vouched::by(permit.also(action::Revoke).as_ref()),
            By::Vault(_) => Vouched::by(Some(&Permit::of_vault(action::Revoke))),
        };
        let (told, taken) = match by {
            By::Application(permit) => {
                covers(unit, permit, std::slice::from_ref(conversation)).await?;
                (told.to_vec(), 0)
            }
            By::Vault(account) => {
                let scope = PartyScope::from(account);
                let known = parties::of(unit, &scope, std::slice::from_ref(conversation))
                    .await?
                    .remove(conversation)
                    .unwrap_or_default();
                let subject = |address: &Address| self.vault.subject(address);
                match conversation {
                    Conversation::Room(_) | Conversation::Session(_) => {
                        match_by_leg(&known, told, subject)
                    }
                    _ => match_participants(&known, told, subject),
                }
            }
        };
        let party = |found: &Participant| Party {
            leg: found.leg.clone(),
            subject: found
                .address
                .as_ref()
                .map(|address| self.vault.subject(address)),
            channel: found.channel,
            presence: Presence::ALWAYS,
        };
        let named: Vec<Party> = told.iter().map(party).collect();
        let mut changed = 0;
        let mut kept = false;
        for scope in by.scopes() {
            let naming = parties::name(unit, conversation, &scope, &named, &vouched, now);
            match naming.await? {
                Naming::Done(some) => changed += some,
                Naming::Taken(legs) => return Err(taken_legs(&legs)),
            }
            let place = (conversation, &scope);
            kept |= self
                .vault
                .keep_details(unit, place, &told, keeping, now)
                .await?;
        }
        let mut effect = None;
        if changed > 0 || kept {
            effect = Some(self.settle(unit, conversation, &named, news, now).await?);
        }
        if taken > 0 {
            unit.count("recvault_parties_taken_total", taken as u64);
        }
        Ok((
            MatchedParticipants {
                parties: told,
                taken,
            },
            effect,
        ))
    }

    /// Applies what a naming changes, in the unit that names.
    async fn settle(
        &self,
        unit: &mut Unit,
        conversation: &Conversation,
        named: &[Party],
        news: &ConsentChange,
        now: Timestamp,
    ) -> Result<Named, Error> {
        let again = revocations::reach_again(unit, conversation, now).await?;
        let (mut entries, next) = self
            .effects
            .quarantine
            .settle(unit, news, self.effects.quarantine.first_step(), now)
            .await?;
        let settled = Settled::of(&entries);
        let known = named.iter().filter(|party| party.subject.is_some()).count();
        entries.insert(
            0,
            NewEntry::parties_named(now, news.actor, conversation, named.len(), known),
        );
        unit.to_journal(OutboxKind::Conversation, &[conversation], now);
        unit.audit_all(entries);
        Ok(Named {
            settled,
            next,
            again,
        })
    }

    /// Applies the rest, after the unit that named. Returns the revocations that run again.
    async fn finish(
        &self,
        conversation: &Conversation,
        news: &ConsentChange,
        mut named: Named,
    ) -> Result<Vec<RevocationId>, Error> {
        self.effects
            .quarantine
            .settle_rest(news, named.next, &mut named.settled)
            .await?;
        self.effects
            .reclassification
            .reclassify_conversation(conversation)
            .await?;
        Ok(named.again)
    }

    /// Returns the parties of a conversation.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub async fn of(
        &self,
        permit: &Permit<action::Consent>,
        conversation: &Conversation,
    ) -> Result<Vec<Party>, Error> {
        let mut tx = self.db.read().await?;
        covers(&mut tx, permit, std::slice::from_ref(conversation)).await?;
        Ok(parties_in(&mut tx, &scopes_of(permit), conversation).await?)
    }
}

/// The error of a naming that would replace known parties.
fn taken_legs(legs: &[LegName]) -> Error {
    let legs: Vec<&str> = legs.iter().map(LegName::as_str).collect();
    Error::Conflict(format!(
        "another person was named before as `{}`; only a correction changes a known party",
        legs.join("`, `")
    ))
}
