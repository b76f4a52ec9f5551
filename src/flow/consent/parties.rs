//! Who took part in a conversation.
//!
//! Owns how parties are named. Refuses to put somebody else in a known party's place: that is a correction.

use std::collections::BTreeSet;

use super::{covers, require};
use crate::{
    evidence::NewEntry,
    flow::{
        Error, Flow,
        quarantine::{News, Settled},
    },
    ledger::{
        audit,
        marks::{self, Marked},
        parties::{self, Naming},
        quarantine::Bearing,
        revocations,
    },
    model::{
        name::LegName,
        subject::{Address, Conversation, Party},
    },
    policy::Permit,
};

/// The most parties that one request names. A conference at Twilio has at most 250 participants.
const MAX_PARTIES: usize = 250;

impl Flow {
    /// Names parties of a conversation. Naming the same again changes nothing; who was not known before may be named, who is known stays who they
    /// are. All who are named by now.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a permit of another kind, or one that does not cover a recording of this conversation; [`Error::Invalid`];
    /// [`Error::Conflict`] if somebody else was named at one of these places.
    pub async fn name_parties(
        &self,
        permit: &Permit,
        conversation: &Conversation,
        named: &[(LegName, Option<Address>)],
    ) -> Result<Vec<Party>, Error> {
        require(permit)?;
        if named.is_empty() || named.len() > MAX_PARTIES {
            return Err(Error::Invalid(format!("`parties`: name 1 to {MAX_PARTIES}")));
        }
        if named.iter().map(|(leg, _)| leg).collect::<BTreeSet<_>>().len() != named.len() {
            return Err(Error::Invalid("`parties`: a `leg` is there twice".into()));
        }
        let party = |(leg, address): &(LegName, Option<Address>)| Party {
            leg: leg.clone(),
            subject: address.as_ref().map(|address| self.0.vault.subject(address)),
        };
        let named: Vec<Party> = named.iter().map(party).collect();
        let known = named.iter().filter(|party| party.subject.is_some()).count();
        // Somebody new in a conversation may not have consented.
        let news = News { bearing: Bearing::of([conversation], []), actor: *permit.actor(), narrows: true };
        let unit = self.0.ledger.unit(|| async {
            let (mut tx, now) = (self.0.ledger.begin().await?, self.now());
            covers(&mut tx, permit, std::slice::from_ref(conversation)).await?;
            let changed = match parties::name(&mut tx, conversation, &named, now).await? {
                Naming::Done(changed) => changed,
                Naming::Taken(legs) => {
                    let legs: Vec<&str> = legs.iter().map(LegName::as_str).collect();
                    return Err(Error::Conflict(format!(
                        "somebody else was named before as `{}`; who is known is changed by a correction only",
                        legs.join("`, `")
                    )));
                }
            };
            let (mut settled, mut next) = (Settled::default(), None);
            if changed > 0 {
                revocations::reach_again(&mut tx, conversation, now).await?;
                let (mut entries, step) = self.settle(&mut tx, &news, self.first_step(), now).await?;
                (settled, next) = (Settled::of(&entries), step);
                entries.insert(0, NewEntry::parties_named(now, *permit.actor(), conversation, named.len(), known));
                marks::set(&mut tx, Marked::Conversation, &[conversation], now).await?;
                audit::append_all(&mut tx, &entries).await?;
            }
            let all = parties::of(&mut tx, std::slice::from_ref(conversation)).await?.remove(conversation).unwrap_or_default();
            tx.commit().await?;
            Ok((all, settled, next))
        });
        let (all, mut settled, next) = unit.await?;
        self.0.journal_bell.notify_one();
        self.settle_rest(&news, next, &mut settled).await?;
        self.continue_for_a_while().await;
        Ok(all)
    }

    /// Who takes part in a conversation, as far as it was told.
    ///
    /// # Errors
    /// As [`Self::name_parties`].
    pub async fn parties(&self, permit: &Permit, conversation: &Conversation) -> Result<Vec<Party>, Error> {
        require(permit)?;
        let mut tx = self.0.ledger.read().await?;
        covers(&mut tx, permit, std::slice::from_ref(conversation)).await?;
        Ok(parties::of(&mut tx, std::slice::from_ref(conversation)).await?.remove(conversation).unwrap_or_default())
    }
}
