//! Who took part in a conversation.
//!
//! Owns how parties are named, whoever names them: an application with a permit, or the vault
//! itself with what the source says. Refuses to put somebody else in a known party's place: that is
//! a correction.

use std::collections::BTreeSet;

use super::{covers, effects::Effects, participants::match_participants};
use crate::{
    db::{
        Db, Unit, details,
        outbox::OutboxKind,
        parties::{self, Naming, Vouched},
        quarantine::Bearing,
        revocations,
    },
    evidence::NewEntry,
    flow::{
        bells::Bells,
        erasure::quarantine::{ConsentChange, Deadline, QuarantineProgress, Settled},
        error::Error,
        units::unit_with_keys,
    },
    model::{
        actor::Initiator,
        details::Participant,
        id::RevocationId,
        name::LegName,
        subject::{Address, Conversation, Party},
        time::Clock,
    },
    policy::{Permit, action},
    vault::{Keeping, Vault},
};

/// The most parties that one request names. A conference at Twilio has at most 250 participants.
const MAX_PARTIES: usize = 250;

/// In whose name parties are named.
#[derive(Clone, Copy)]
enum By<'a> {
    /// An application's. Somebody else in a known place is a conflict.
    Application(&'a Permit<action::Consent>),
    /// The vault's own, with what the source told. Who is known stays, and the others get the
    /// places that are left.
    Vault,
}

/// What came of naming parties in the vault's own name.
#[derive(Clone, Debug)]
pub(in crate::flow) struct MatchedParticipants {
    /// Those who have a place now, with it.
    pub(in crate::flow) parties: Vec<Participant>,
    /// How many have none because somebody else is there.
    pub(in crate::flow) taken: usize,
}

/// Who took part in conversations.
pub struct PartyRegister {
    vault: Vault,
    db: Db,
    clock: Clock,
    bells: Bells,
    effects: Effects,
}

impl PartyRegister {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        clock: Clock,
        bells: Bells,
        effects: Effects,
    ) -> Self {
        Self {
            vault,
            db,
            clock,
            bells,
            effects,
        }
    }

    /// Names parties of a conversation. Naming the same again changes nothing; who was not known
    /// before may be named, who is known stays who they are. All who are named by now.
    ///
    /// Somebody who revoked before may be among them. Recordings are let go of therefore only where
    /// the permit comes with leave to revoke; otherwise that waits until somebody who has it names
    /// them again, or revokes. The answer is the same, so that it tells nobody who has revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a permit that does not cover a recording of
    /// this conversation; [`Error::Invalid`]; [`Error::Conflict`] if somebody else was named at one
    /// of these places.
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
        let all = parties::of(
            &mut self.db.read().await?,
            std::slice::from_ref(conversation),
        )
        .await?;
        Ok(all.into_values().next().unwrap_or_default())
    }

    /// Names whom the source found, in the vault's own name; who is known already stays who they
    /// are and where they are. Naming them can find a revocation that lets go of a recording at
    /// once.
    ///
    /// # Errors
    /// The database's; then nobody was named.
    pub(in crate::flow) async fn name_found(
        &self,
        conversation: &Conversation,
        found: &[Participant],
        keeping: Keeping,
    ) -> Result<MatchedParticipants, Error> {
        let found = found.get(..MAX_PARTIES).unwrap_or(found);
        let matched = self
            .match_participants(By::Vault, conversation, found, keeping)
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

    /// The one way in.
    async fn match_participants(
        &self,
        by: By<'_>,
        conversation: &Conversation,
        told: &[Participant],
        keeping: Keeping,
    ) -> Result<MatchedParticipants, Error> {
        let actor = match by {
            By::Application(permit) => permit.initiator(),
            By::Vault => Initiator::Vault,
        };
        // Somebody new in a conversation may not have consented.
        let news = ConsentChange {
            bearing: Bearing::of([conversation], []),
            actor,
            narrows: true,
            deadline: match by {
                By::Application(permit) => Deadline::by(permit),
                By::Vault => Deadline::New,
            },
        };
        let (matched, mut settled, next, again) = unit_with_keys(
            &self.db,
            &self.vault,
            "parties.name_parties",
            async |mut unit| {
                self.name_in_a_unit(&mut unit, by, conversation, told, keeping, &news)
                    .await
            },
        )
        .await?;
        self.bells.journal.notify_one();
        self.effects
            .quarantine
            .settle_rest(&news, next, &mut settled)
            .await?;
        self.effects
            .reclassification
            .reclassify_conversation(conversation)
            .await?;
        match by {
            By::Application(_) => {
                let revocations = &self.effects.revocations;
                revocations.warn_of_unvouched(conversation).await;
                revocations.continue_for_a_while(&again).await;
            }
            // In the middle of the source's request, or of a fetch: whoever is revoked, it is not
            // for those to work on it.
            By::Vault => self.bells.work.notify_one(),
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
    ) -> Result<
        (
            MatchedParticipants,
            Settled,
            Option<QuarantineProgress>,
            Vec<RevocationId>,
        ),
        Error,
    > {
        let now = self.clock.now();
        details::lock(unit, conversation).await?;
        let vouched = match by {
            By::Application(permit) => Vouched::by(permit.also(action::Revoke).as_ref()),
            By::Vault => Vouched::by(Some(&Permit::of_vault(action::Revoke))),
        };
        let (told, taken) = match by {
            By::Application(permit) => {
                covers(unit, permit, std::slice::from_ref(conversation)).await?;
                (told.to_vec(), 0)
            }
            By::Vault => {
                let known = parties::of(unit, std::slice::from_ref(conversation))
                    .await?
                    .remove(conversation)
                    .unwrap_or_default();
                match_participants(&known, told, |address| self.vault.subject(address))
            }
        };
        let party = |found: &Participant| Party {
            leg: found.leg.clone(),
            subject: found
                .address
                .as_ref()
                .map(|address| self.vault.subject(address)),
            channel: found.channel,
        };
        let named: Vec<Party> = told.iter().map(party).collect();
        let changed = match parties::name(unit, conversation, &named, &vouched, now).await? {
            Naming::Done(changed) => changed,
            Naming::Taken(legs) => {
                let legs: Vec<&str> = legs.iter().map(LegName::as_str).collect();
                return Err(Error::Conflict(format!(
                    "another person was named before as `{}`; only a correction changes a known \
                     party",
                    legs.join("`, `")
                )));
            }
        };
        let kept = self
            .vault
            .keep_details(unit, conversation, &told, keeping, now)
            .await?;
        let mut settled = Settled::default();
        let mut next = None;
        let mut again = Vec::new();
        if changed > 0 || kept {
            again = revocations::reach_again(unit, conversation, now).await?;
            let (mut entries, step) = self
                .effects
                .quarantine
                .settle(unit, news, self.effects.quarantine.first_step(), now)
                .await?;
            (settled, next) = (Settled::of(&entries), step);
            let known = named.iter().filter(|party| party.subject.is_some()).count();
            entries.insert(
                0,
                NewEntry::parties_named(now, news.actor, conversation, named.len(), known),
            );
            unit.to_journal(OutboxKind::Conversation, &[conversation], now);
            unit.audit_all(entries);
        }
        if taken > 0 {
            unit.count("recvault_parties_taken_total", taken as u64);
        }
        Ok((
            MatchedParticipants {
                parties: told,
                taken,
            },
            settled,
            next,
            again,
        ))
    }

    /// Who takes part in a conversation, as far as it was told.
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
        Ok(parties::of(&mut tx, std::slice::from_ref(conversation))
            .await?
            .remove(conversation)
            .unwrap_or_default())
    }
}
