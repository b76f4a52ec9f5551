//! The interaction of a call through a session, which goes with the last recording of the call.
//!
//! Owns how it is found: by the call, in the source's list of the session. INVARIANT: it stays while
//! the vault keeps a recording of either of its two calls.

use std::collections::BTreeSet;

use super::{InteractionPlace, MessageCopies};
use crate::{
    db::recordings,
    flow::erase::{SourceDeletion, book::CopyBook, trouble::Trouble},
    model::{
        crash,
        recording::{Recording, RecordingState},
        sid::{CallSid, InteractionSid, ProxyServiceSid, ProxySessionSid},
        source::CopyKind,
        subject::Conversation,
    },
    twilio::{Account, InteractionSide, RestError, rest::ProxyPlace},
};

impl<'a> MessageCopies<'a> {
    /// Returns the interaction of a shredded recording's call; `None` if it went through no session,
    /// or the interaction is gone or still needed.
    pub(in crate::flow::erase) async fn of_call(
        deletion: &'a SourceDeletion,
        account: &'a Account,
        recording: &'a Recording,
    ) -> Result<Option<Self>, Trouble> {
        let (RecordingState::Shredded, Some(Conversation::Session(session)), Some(call)) =
            (recording.state, &recording.thread, &recording.call)
        else {
            return Ok(None);
        };
        let book = CopyBook::of(deletion, recording.id).await?;
        let client = &deletion.twilio.client;
        let service = client.proxy_service_of(account, session).await?;
        let known = book.open(CopyKind::Interaction).into_iter().next();
        let sid = match (known, &service) {
            (Some((_, sid)), _) => sid.parse().ok(),
            (None, Some(service)) => {
                interaction_of(deletion, account, service, session, call).await?
            }
            (None, None) => None,
        };
        let place = |sid| InteractionPlace {
            sid,
            session: session.clone(),
            service,
        };
        Ok(sid.map(|sid| Self {
            deletion,
            account,
            recording,
            legs: BTreeSet::new(),
            interaction: Some(place(sid)),
            spared: 0,
            book,
            open: BTreeSet::new(),
        }))
    }

    /// Deletes the interaction, and its session if that is over and empty. On `Ok`, every copy is
    /// confirmed.
    pub(in crate::flow::erase) async fn delete_call(&mut self) -> Result<(), Trouble> {
        self.book.enter([self.own_name()]).await?;
        crash::point("erase.listed");
        self.delete_interaction().await?;
        self.delete_session_if_over().await
    }
}

/// Returns the interaction of a call, unless the vault keeps a recording of it.
async fn interaction_of(
    deletion: &SourceDeletion,
    account: &Account,
    service: &ProxyServiceSid,
    session: &ProxySessionSid,
    call: &CallSid,
) -> Result<Option<InteractionSid>, Trouble> {
    let client = &deletion.twilio.client;
    let mut pages = client.interactions(account, ProxyPlace { service, session });
    loop {
        let page = match pages.next(client, account).await {
            // The session was deleted meanwhile.
            Err(RestError::NotFound) => return Ok(None),
            page => page?,
        };
        let Some(page) = page else { return Ok(None) };
        for found in page.items {
            let sides = [&found.inbound, &found.outbound];
            let calls: Vec<CallSid> = sides
                .into_iter()
                .filter_map(InteractionSide::call)
                .collect();
            if calls.contains(call) {
                let is_kept = is_any_kept(deletion, calls).await?;
                return Ok((!is_kept).then_some(found.sid));
            }
        }
    }
}

async fn is_any_kept(deletion: &SourceDeletion, calls: Vec<CallSid>) -> Result<bool, Trouble> {
    let mut tx = deletion.db.read().await?;
    for call in calls {
        let all = recordings::of_conversation(&mut tx, &Conversation::Call(call)).await?;
        if all.iter().any(|of| of.state != RecordingState::Shredded) {
            return Ok(true);
        }
    }
    Ok(false)
}
