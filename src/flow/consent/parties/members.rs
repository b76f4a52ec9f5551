//! The participants of chats, as the source names them.
//!
//! Owns how they are named: each participation has a leg of its own, which nobody else ever gets.
//! Refuses to store their addresses: each message has that of its author.

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
        name::LegName,
        subject::{Address, Conversation, Party, Presence},
    },
    policy::{Permit, action},
};

/// One participation in a chat.
#[derive(Clone)]
pub(in crate::flow) struct Member {
    /// Its leg.
    pub(in crate::flow) leg: LegName,
    /// The person; `None` if unknown.
    pub(in crate::flow) address: Option<Address>,
    /// When they are there.
    pub(in crate::flow) presence: Presence,
}

impl PartyRegister {
    /// Names participants of a chat in the vault's own name. Naming the same again changes nothing;
    /// a leg keeps its person, and its time in the chat gets the bounds that become known. A naming
    /// can make an earlier revocation apply, which shreds recordings.
    ///
    /// # Errors
    /// Any database error; then nobody was named.
    pub(in crate::flow) async fn name_members(
        &self,
        chat: &Conversation,
        members: &[Member],
    ) -> Result<(), Error> {
        let named: Vec<Party> = members
            .iter()
            .map(|member| Party {
                leg: member.leg.clone(),
                subject: member
                    .address
                    .as_ref()
                    .map(|address| self.vault.subject(address)),
                channel: None,
                presence: member.presence,
            })
            .collect();
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
            async |mut unit| self.members_in_a_unit(&mut unit, chat, &named, &news).await,
        );
        let Some(done) = done.await? else {
            return Ok(());
        };
        self.wakeups.journal.notify_one();
        self.wakeups.work.notify_one();
        self.finish(chat, &news, done).await?;
        Ok(())
    }

    async fn members_in_a_unit(
        &self,
        unit: &mut Unit,
        chat: &Conversation,
        named: &[Party],
        news: &ConsentChange,
    ) -> Result<Option<Named>, Error> {
        let now = self.clock.now();
        // Names before rows.
        let subjects = named.iter().filter_map(|party| party.subject);
        parties::lock(unit, chat, subjects).await?;
        details::lock(unit, chat).await?;
        let vouched = Vouched::by(Some(&Permit::of_vault(action::Revoke)));
        let mut named = named.to_vec();
        let changed = loop {
            match parties::name(unit, chat, &named, &vouched, now).await? {
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
            return Ok(None);
        }
        Ok(Some(self.settle(unit, chat, &named, news, now).await?))
    }
}
