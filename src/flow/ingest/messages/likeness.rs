//! Recordings of one text that the source does not name by each other: what a person writes to a chat
//! over a line is in the log of messages, too, and no event of the chat says which message it is.
//!
//! Owns when two are alike: the same account, author and text, within a minute. Refuses to shred
//! anything because of it.

use std::collections::BTreeSet;

use crate::{
    db::{
        self, Unit,
        likenesses::{self, LikenessRow},
        links,
        outbox::OutboxKind,
    },
    model::{
        details::Participant, id::RecordingId, link::LinkReason, media::MediaKind,
        recording::Recording, sid::AccountSid, time::Timestamp, transcript::Transcript,
    },
    policy::Rules,
    vault::Vault,
};

/// What a recording has in common with another of the same text.
#[derive(Clone)]
pub(in crate::flow) struct Likeness {
    recording: RecordingId,
    mark: String,
}

impl Likeness {
    /// Returns the likeness of a text; `None` where no other recording can be alike: its author is
    /// not known, or the policy does not keep both messages and chats.
    pub(in crate::flow) fn of(
        rules: &Rules,
        vault: &Vault,
        account: &AccountSid,
        recording: RecordingId,
        parties: &[Participant],
        text: &Transcript,
    ) -> Option<Self> {
        let keeps_both = rules.keeps(MediaKind::Message) && rules.keeps(MediaKind::ChatMessage);
        let author = text.sentences().first()?.leg.as_ref()?;
        let author = parties.iter().find(|party| party.leg == *author)?;
        let address = author.address.as_ref().filter(|_| keeps_both)?;
        let said: Vec<&str> = text
            .sentences()
            .iter()
            .map(|sentence| sentence.text.expose())
            .collect();
        Some(Self {
            recording,
            mark: vault.likeness(account, address, &said),
        })
    }
}

/// Links recordings that were entered with those that are alike.
///
/// # Errors
/// The database's.
pub(super) async fn find_alike(
    unit: &mut Unit,
    entered: &[Recording],
    likenesses: Vec<Likeness>,
    now: Timestamp,
) -> Result<(), db::Error> {
    for Likeness { recording, mark } in likenesses {
        let Some(own) = entered.iter().find(|entered| entered.id == recording) else {
            continue;
        };
        let row = LikenessRow {
            recording,
            mark,
            at: own.started_at.unwrap_or(own.collected_at),
            told_at: now,
        };
        if let Some(other) = likenesses::enter(unit, &row).await? {
            let other = BTreeSet::from([other]);
            let linked = links::enter(unit, recording, &other, LinkReason::SameText).await?;
            unit.to_journal(OutboxKind::Recording, &linked, now);
        }
    }
    Ok(())
}
