//! The people of a message: named in its thread before its row is there.
//!
//! Owns when somebody is named, and the move of a message to the thread of its group. Refuses to know
//! what a name means for consent.

use super::{
    MessageIntake,
    told::{GroupMessage, MEMBER, MessageTold, contact_of, leg},
};
use crate::{
    db::{self, accept::Announcement, parties},
    flow::{consent::parties::joining::Joining, error::Error},
    model::{
        details::Participant,
        sid::AccountSid,
        subject::{Conversation, PartyScope},
    },
    twilio::MessageAddress,
    vault::Keeping,
};

/// How often the people of a group are named until it succeeds.
const NAMINGS: usize = 5;

impl MessageIntake {
    /// Names the people of a thread, unless they are named. Returns them, with their legs.
    pub(super) async fn name(
        &self,
        announcement: &Announcement,
        told: &MessageTold<'_>,
    ) -> Result<Vec<Participant>, Error> {
        let account = announcement.source_ref.account();
        let thread = announcement.thread.as_ref();
        if told.others.is_empty() {
            let contact = self.name_in(account, thread, told.contact).await?;
            return Ok(vec![contact]);
        }
        let member = |address: &MessageAddress| Participant {
            address: address.address().cloned(),
            ..Participant::at(leg(MEMBER))
        };
        let members: Vec<Participant> = told.persons().map(member).collect();
        let Some(thread) = thread else {
            return Ok(members);
        };
        for _ in 0..NAMINGS {
            let named = self
                .parties
                .name_found(account, thread, &members, Keeping::Carried);
            match named.await {
                // Another message of the group names them at the same time.
                Err(Error::Conflict(_)) => {}
                named => return Ok(named?.parties),
            }
        }
        let why = "the people of a group are being named";
        Err(db::Error::Unavailable(why.to_owned()).into())
    }

    /// Moves a message to the thread of its group, if it came before without its other receivers.
    /// Repeating it changes nothing.
    pub(super) async fn regroup(
        &self,
        message: &GroupMessage,
        parties: &[Participant],
    ) -> Result<(), Error> {
        let GroupMessage {
            id,
            account,
            thread,
            author,
        } = message;
        // They were named before: what they said, and revoked, counts in the unit of the move.
        let joining = Joining::Message {
            id: *id,
            thread,
            author,
        };
        self.parties.join(account, joining).await?;
        // What is sealed gets the addresses of all of them.
        self.parties
            .name_found(account, thread, parties, Keeping::Carried)
            .await?;
        Ok(())
    }

    pub(super) async fn name_in(
        &self,
        account: &AccountSid,
        thread: Option<&Conversation>,
        address: &MessageAddress,
    ) -> Result<Participant, Error> {
        let contact = contact_of(address);
        let Some(thread) = thread else {
            return Ok(contact);
        };
        let scope = PartyScope::from(account);
        let only = std::slice::from_ref(thread);
        let known = parties::of(&mut self.db.read().await?, &scope, only).await?;
        let is_known = known.values().flatten().any(|party| {
            party.leg == contact.leg && (party.subject.is_some() || contact.address.is_none())
        });
        if !is_known {
            let only = std::slice::from_ref(&contact);
            self.parties
                .name_found(account, thread, only, Keeping::Carried)
                .await?;
        }
        Ok(contact)
    }
}
