//! Deliveries of messages of chats: each names a copy in Programmable Messaging.
//!
//! Owns how the copy becomes known: when the message is gone at the source, nothing else names it.
//! Refuses to know what becomes of the delivery. INVARIANT: a copy that is told of after the shred is
//! deleted, too.

use super::ChatIntake;
use crate::{
    db::{
        self,
        outbox::OutboxKind,
        recordings, sources,
        work::{self, WorkKind},
    },
    flow::{error::Error, links::link_copies},
    model::{
        media::SourceRef,
        recording::RecordingState,
        sid::AccountSid,
        source::{CopyKind, SourceCopy},
    },
    twilio::conversations::ChatDelivery,
};

impl ChatIntake {
    /// Notes the copy that a delivery names, unless it is known, and that both are one: if one of them
    /// is shredded, so is the other. Of a message that the vault does not know there is no copy to
    /// note: when it is found, it is there, and so are its receipts.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::flow) async fn delivered(
        &self,
        account: &AccountSid,
        delivery: &ChatDelivery,
    ) -> Result<(), Error> {
        let Some(sid) = &delivery.channel_message else {
            return Ok(());
        };
        let Ok(source) = SourceRef::parse(account.clone(), delivery.message.as_str()) else {
            return Ok(());
        };
        let id = source.recording_id(self.vault.id());
        let copy = SourceCopy::found(CopyKind::Message, sid.as_str(), self.clock.now());
        let noted = self.db.unit("chats.delivered", async |mut unit| {
            unit.without_entry("a copy that was seen is no act");
            let now = self.clock.now();
            let copies = std::slice::from_ref(&copy);
            // While it is locked, no shred finds this copy missing.
            let is_sealed = match recordings::lock_sealed(&mut unit, id).await {
                Err(db::Error::Stale(_)) => false,
                locked => locked.map(|_| true)?,
            };
            link_copies(&mut unit, self.vault.id(), &source, copies, now).await?;
            let known = sources::of(&mut unit, id).await?;
            let is_noted = known
                .iter()
                .any(|known| (known.kind, &known.sid) == (copy.kind, &copy.sid));
            // What came before its message is in the link alone.
            let found = recordings::find(&mut unit, id).await?;
            let Some(found) = found.filter(|_| !is_noted) else {
                return Ok(());
            };
            sources::enter(&mut unit, id, copies).await?;
            unit.to_journal(OutboxKind::Recording, &[id], now);
            if !is_sealed && found.state == RecordingState::Shredded {
                work::begin_anew(&mut unit, WorkKind::DeleteAtSource, &[id], now).await?;
            }
            Ok::<_, db::Error>(())
        });
        noted.await?;
        self.wakeups.journal.notify_one();
        self.wakeups.work.notify_one();
        self.states.shred_left(id).await
    }
}
