//! Recordings that join a conversation after they were announced: a message that came before its
//! group was known, a call before its session.
//!
//! Owns that what is known of the conversation counts for them from that unit on: its parties,
//! revocations that are done, and quarantine. Refuses to know how the source told of it.

use super::{Named, PartyRegister};
use crate::{
    db::{
        self, Unit,
        outbox::OutboxKind,
        parties,
        quarantine::AffectedScope,
        recordings, revocations,
        session_calls::{self, SessionCall},
        work::{self, WorkKind},
    },
    flow::{
        erasure::quarantine::{ConsentChange, Deadline, Settled},
        error::Error,
    },
    model::{
        actor::Initiator,
        id::RecordingId,
        name::LegName,
        sid::{AccountSid, CallSid, ProxySessionSid},
        subject::Conversation,
        time::Timestamp,
    },
};

/// What joins a conversation.
#[derive(Clone, Copy)]
pub(in crate::flow) enum Joining<'a> {
    /// A message joins the thread of its group, in which its author has another leg.
    Message {
        /// The message.
        id: RecordingId,
        /// The thread.
        thread: &'a Conversation,
        /// Its author's leg there.
        author: &'a LegName,
    },
    /// The recordings of calls join the session that the calls go through.
    Calls {
        /// The session.
        session: &'a ProxySessionSid,
        /// The calls.
        calls: &'a [CallSid],
        /// What is noted of them, for recordings that come later.
        noted: &'a [SessionCall],
    },
}

impl Joining<'_> {
    fn conversation(self) -> Conversation {
        match self {
            Self::Message { thread, .. } => thread.clone(),
            Self::Calls { session, .. } => Conversation::Session(session.clone()),
        }
    }

    /// Enters what joins, and returns the recordings that did.
    async fn enter(
        self,
        unit: &mut Unit,
        account: &AccountSid,
        now: Timestamp,
    ) -> Result<Vec<RecordingId>, db::Error> {
        match self {
            Self::Message { id, thread, author } => {
                let is_moved = recordings::move_to_thread(unit, id, thread, author).await?;
                Ok(is_moved.then_some(id).into_iter().collect())
            }
            Self::Calls {
                session,
                calls,
                noted,
            } => {
                let is_new = session_calls::enter(unit, noted, now).await? > 0;
                // Also when it is told again: a recording may have been announced and fetched beside
                // the first time, so that neither saw the other.
                let grouped = session_calls::group(unit, account, calls, session, is_new).await?;
                work::enqueue(unit, WorkKind::ReadSession, &grouped, now).await?;
                Ok(grouped)
            }
        }
    }
}

impl PartyRegister {
    /// Has recordings of an account join a conversation. Repeating it changes nothing.
    ///
    /// # Errors
    /// Any database error.
    pub(in crate::flow) async fn join(
        &self,
        account: &AccountSid,
        joining: Joining<'_>,
    ) -> Result<(), Error> {
        let conversation = joining.conversation();
        let news = ConsentChange {
            bearing: AffectedScope::of([&conversation], []),
            actor: Initiator::Vault,
            narrows: true,
            deadline: Deadline::New,
        };
        let unit = self.db.unit("parties.join", async |mut unit| {
            let now = self.clock.now();
            // Names before rows: what is known of them is final.
            let only = std::slice::from_ref(&conversation);
            parties::share(&mut unit, [account], only).await?;
            let joined = joining.enter(&mut unit, account, now).await?;
            if joined.is_empty() {
                unit.without_entry("nothing joined");
                return Ok::<_, Error>(None);
            }
            unit.to_journal(OutboxKind::Recording, &joined, now);
            let again = revocations::reach_again(&mut unit, &conversation, now).await?;
            let first = self.effects.quarantine.first_step();
            let settling = self.effects.quarantine.settle(&mut unit, &news, first, now);
            let (entries, next) = settling.await?;
            let settled = Settled::of(&entries);
            if entries.is_empty() {
                unit.without_entry("what a recording belongs to is no act");
            }
            unit.audit_all(entries);
            Ok(Some(Named {
                settled,
                next,
                again,
            }))
        });
        let joined = unit.await?;
        self.wakeups.journal.notify_one();
        self.wakeups.work.notify_one();
        if let Some(joined) = joined {
            self.finish(&conversation, &news, joined).await?;
        }
        Ok(())
    }
}
