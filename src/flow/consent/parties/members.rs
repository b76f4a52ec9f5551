//! The participants of chats, as the source names them.
//!
//! Owns how they are named: each address of a participation has a leg of its own, which nobody else
//! ever gets. Which one that is depends on who was told first, and is decided in the unit that names.
//! Refuses to store their addresses: each message has that of its author.

use std::collections::{BTreeMap, BTreeSet};

use super::PartyRegister;
use crate::{
    db::{
        Unit, details,
        parties::{self, Naming, Vouched},
        quarantine::AffectedScope,
    },
    flow::{
        consent::parties::Named,
        erasure::quarantine::{ConsentChange, Deadline},
        error::Error,
        units::unit_with_keys,
    },
    model::{
        actor::Initiator,
        id::SubjectId,
        name::LegName,
        sid::{AccountSid, ChatParticipantSid},
        subject::{Address, Conversation, Party, PartyScope, Presence},
    },
    policy::{Permit, action},
};

/// Where a member is named.
#[derive(Clone)]
pub(in crate::flow) enum Seat {
    /// At this leg.
    At(LegName),
    /// At the leg of their address in this participation.
    In(ChatParticipantSid),
    /// The same, for who wrote a message.
    Author(ChatParticipantSid),
}

/// One address of a participation in a chat.
#[derive(Clone)]
pub(in crate::flow) struct Member {
    /// Where it is named.
    pub(in crate::flow) seat: Seat,
    /// The person; `None` if unknown.
    pub(in crate::flow) address: Option<Address>,
    /// When they are there.
    pub(in crate::flow) presence: Presence,
}

impl PartyRegister {
    /// Names participants of a chat in the vault's own name, unless they are named with all that is
    /// known of them. Returns the leg of each, in their order. Naming the same again changes nothing;
    /// a leg keeps its person, and its time in the chat gets the bounds that become known. A naming
    /// can make an earlier revocation apply, which shreds recordings.
    ///
    /// # Errors
    /// Any database error; then nobody was named.
    pub(in crate::flow) async fn name_members(
        &self,
        account: &AccountSid,
        chat: &Conversation,
        members: &[Member],
    ) -> Result<Vec<LegName>, Error> {
        let subject = |address: &Address| self.vault.subject(address);
        let scope = PartyScope::from(account);
        let mut known = parties::of(
            &mut self.db.read().await?,
            &scope,
            std::slice::from_ref(chat),
        )
        .await?;
        let known = known.remove(chat).unwrap_or_default();
        let seated = seated(&known, members, subject);
        let is_known = |told: &Party| {
            known.iter().any(|party| {
                party.leg == told.leg
                    && (party.subject.is_some() || told.subject.is_none())
                    && party.presence == party.presence.with(told.presence)
            })
        };
        if seated.iter().all(is_known) {
            return Ok(seated.into_iter().map(|party| party.leg).collect());
        }
        let news = ConsentChange {
            bearing: AffectedScope::of([chat], []),
            actor: Initiator::Vault,
            // A new participant may not have consented; one who was not there yet need not.
            narrows: true,
            deadline: Deadline::New,
        };
        let done = unit_with_keys(
            &self.db,
            &self.vault,
            "parties.name_members",
            async |mut unit| {
                self.members_in_a_unit(&mut unit, (chat, &scope), members, &news)
                    .await
            },
        );
        let (legs, done) = done.await?;
        let Some(done) = done else {
            return Ok(legs);
        };
        self.wakeups.journal.notify_one();
        self.wakeups.work.notify_one();
        self.finish(chat, &news, done).await?;
        Ok(legs)
    }

    async fn members_in_a_unit(
        &self,
        unit: &mut Unit,
        (chat, scope): (&Conversation, &PartyScope),
        members: &[Member],
        news: &ConsentChange,
    ) -> Result<(Vec<LegName>, Option<Named>), Error> {
        let now = self.clock.now();
        let subject = |address: &Address| self.vault.subject(address);
        // Names before rows.
        let people = members.iter().filter_map(|member| member.address.as_ref());
        parties::lock(unit, chat, people.map(subject)).await?;
        details::lock(unit, chat).await?;
        let mut known = parties::of(unit, scope, std::slice::from_ref(chat)).await?;
        let known = known.remove(chat).unwrap_or_default();
        let mut named = seated(&known, members, subject);
        let legs = named.iter().map(|party| party.leg.clone()).collect();
        let vouched = Vouched::by(Some(&Permit::of_vault(action::Revoke)));
        let changed = loop {
            match parties::name(unit, chat, scope, &named, &vouched, now).await? {
                Naming::Done(changed) => break changed,
                Naming::Taken(legs) => {
                    named.retain(|party| !legs.contains(&party.leg));
                    unit.count("recvault_parties_taken_total", legs.len() as u64);
                    tracing::warn!(
                        conversation = %chat, taken = legs.len(),
                        "Twilio names other parties than before; the earlier parties stay, and \
                         only a correction changes them"
                    );
                }
            }
        };
        if changed == 0 {
            unit.without_entry("a participant that is known is no news");
            return Ok((legs, None));
        }
        let done = self.settle(unit, chat, &named, news, now).await?;
        Ok((legs, Some(done)))
    }
}

/// Returns the leg of a participation's address: the first has that of the participation itself.
pub(in crate::flow) fn leg_of(participant: &ChatParticipantSid, number: usize) -> LegName {
    let sid = participant.as_str().to_ascii_lowercase();
    let leg = match number {
        0 => sid,
        number => format!("{sid}-{}", number + 1),
    };
    leg.parse().expect("an id in lower case is a name")
}

/// The leg of an author of whom nobody knows who they are.
pub(in crate::flow) const NOBODY_KNOWN: &str = "author";

/// The most addresses of one participation.
const ADDRESSES: usize = 1000;

/// Returns how many addresses of a participation these are.
fn count(members: &[Member], participant: &ChatParticipantSid) -> usize {
    let is_of = |member: &&Member| match &member.seat {
        Seat::In(of) | Seat::Author(of) => of == participant,
        Seat::At(_) => false,
    };
    members.iter().filter(is_of).count()
}

/// Returns the parties that these members are, beside those that are known. Somebody known keeps
/// their leg, and a new address of a participation gets one that nobody had. Somebody unknown stays
/// unknown, also where others of the participation are known.
fn seated(
    known: &[Party],
    members: &[Member],
    subject: impl Fn(&Address) -> SubjectId,
) -> Vec<Party> {
    let mut there: BTreeMap<LegName, Option<SubjectId>> = BTreeMap::new();
    for party in known {
        let place = there.entry(party.leg.clone()).or_default();
        *place = place.or(party.subject);
    }
    let mut told_of: BTreeSet<LegName> = BTreeSet::new();
    let mut seated = Vec::new();
    for member in members {
        let theirs = member.address.as_ref().map(&subject);
        let mut presence = member.presence;
        let leg = match &member.seat {
            Seat::At(leg) => leg.clone(),
            Seat::In(participant) | Seat::Author(participant) => {
                let places = || (0..ADDRESSES).map(|number| leg_of(participant, number));
                let is_author = matches!(member.seat, Seat::Author(_));
                let own: Vec<LegName> =
                    places().take_while(|leg| there.contains_key(leg)).collect();
                let same = own
                    .iter()
                    .find(|leg| {
                        let is_there = there.get(*leg).copied().flatten();
                        is_there == theirs && (theirs.is_some() || !told_of.contains(*leg))
                    })
                    .cloned();
                match (same, own.as_slice()) {
                    (Some(leg), _) => leg,
                    // Of a participation with one address, they are whom nobody knew before.
                    (None, [only])
                        if !is_author
                            && there.get(only).is_some_and(Option::is_none)
                            && count(members, participant) == 1 =>
                    {
                        only.clone()
                    }
                    // A participation with one address is written by whoever has it.
                    (None, [only]) if is_author && theirs.is_none() => only.clone(),
                    (None, [_, _, ..]) if is_author && theirs.is_none() => {
                        // They wrote it, and nobody knows what they received.
                        presence = Presence::NEVER;
                        NOBODY_KNOWN.parse().expect("it is a name")
                    }
                    (None, own) => leg_of(participant, own.len()),
                }
            }
        };
        let place = there.entry(leg.clone()).or_default();
        *place = place.or(theirs);
        told_of.insert(leg.clone());
        seated.push(Party {
            leg,
            subject: theirs,
            channel: None,
            presence,
        });
    }
    seated
}
