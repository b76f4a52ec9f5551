//! The deletion of an interaction, and of its session.

use super::{InteractionPlace, MessageCopies, NO_SID};
use crate::{
    db::recordings,
    flow::erase::trouble::Trouble,
    model::{crash, media::Product, sid::MessageSid, source::CopyKind, subject::Conversation},
    twilio::{InteractionSide, RestError, rest::ProxyPlace},
};

/// The states in which a session takes no further texts or calls.
const OVER: [&str; 2] = ["closed", "failed"];

impl MessageCopies<'_> {
    /// Finds the messages behind a text through a session: those that its callbacks named, and those
    /// that the source names now.
    pub(super) async fn find_legs(&mut self) -> Result<(), Trouble> {
        let Some(InteractionPlace { sid, session, .. }) = &self.interaction else {
            return Ok(());
        };
        let client = &self.deletion.twilio.client;
        let service = client.proxy_service_of(self.account, session).await?;
        let mut legs: Vec<MessageSid> = Vec::new();
        for (kind, leg) in self.book.known.keys() {
            if *kind == CopyKind::Message {
                legs.push(leg.parse().map_err(|_| NO_SID)?);
            }
        }
        if let Some(service) = &service {
            let place = ProxyPlace { service, session };
            match client.interaction(self.account, place, sid).await {
                // What is deleted below must be proved then.
                Err(RestError::NotFound) => {}
                found => {
                    let found = found?;
                    let sides = [&found.inbound, &found.outbound];
                    legs.extend(sides.into_iter().filter_map(InteractionSide::message));
                }
            }
        }
        self.legs.extend(legs);
        if let Some(place) = &mut self.interaction {
            place.service = service;
        }
        Ok(())
    }

    pub(super) async fn delete_interaction(&mut self) -> Result<(), Trouble> {
        let own = self.own_name();
        if self.book.is_confirmed(&own) {
            return Ok(());
        }
        let Some(InteractionPlace {
            sid,
            session,
            service,
        }) = &self.interaction
        else {
            return Ok(());
        };
        let Some(service) = service.clone() else {
            // The session is gone, and with it what was below it.
            self.must_open(Product::Proxy).await?;
            self.book.mark_deleted(&own);
            self.book.mark_confirmed(&own, None);
            return Ok(());
        };
        let (sid, session) = (sid.clone(), session.clone());
        let place = ProxyPlace {
            service: &service,
            session: &session,
        };
        let client = &self.deletion.twilio.client;
        let answer = client.delete_interaction(self.account, place, &sid).await?;
        self.believe(Product::Proxy, &own, answer).await?;
        self.book.mark_deleted(&own);
        crash::point("erase.deleted");
        match client.interaction(self.account, place, &sid).await {
            Err(RestError::NotFound) => {
                self.must_open(Product::Proxy).await?;
                self.book.mark_confirmed(&own, None);
                Ok(())
            }
            Ok(_) => Err(Trouble::NotYet(
                "the source does not report the interaction as deleted yet",
            )),
            Err(other) => Err(other.into()),
        }
    }

    /// Deletes the session if it is over, and nothing of it is left at the source or in the vault. A
    /// session that is not over belongs to the two sides.
    pub(super) async fn delete_session_if_over(&mut self) -> Result<(), Trouble> {
        let Some(InteractionPlace {
            session,
            service: Some(service),
            ..
        }) = &self.interaction
        else {
            return Ok(());
        };
        let (service, session) = (service.clone(), session.clone());
        let place = ProxyPlace {
            service: &service,
            session: &session,
        };
        let client = &self.deletion.twilio.client;
        let status = match client.proxy_session(self.account, place).await {
            Err(RestError::NotFound) => return Ok(()),
            found => found?.status.unwrap_or_default(),
        };
        let conversation = Conversation::Session(session.clone());
        let mut tx = self.deletion.db.read().await?;
        let is_due = recordings::is_all_shredded(&mut tx, &conversation).await?;
        drop(tx);
        if !is_due || !OVER.contains(&status.as_str()) {
            return Ok(());
        }
        let mut interactions = client.interactions(self.account, place);
        while let Some(page) = interactions.next(client, self.account).await? {
            if !page.items.is_empty() || page.unreadable > 0 {
                return Ok(());
            }
        }
        let name = (CopyKind::Session, session.to_string());
        self.book.enter([name.clone()]).await?;
        let answer = client.delete_proxy_session(self.account, place).await?;
        self.believe(Product::Proxy, &name, answer).await?;
        self.book.mark_deleted(&name);
        crash::point("erase.deleted");
        match client.proxy_session(self.account, place).await {
            Err(RestError::NotFound) => {
                self.must_open(Product::Proxy).await?;
                self.book.mark_confirmed(&name, None);
                Ok(())
            }
            Ok(_) => Err(Trouble::NotYet(
                "the source does not report the session as deleted yet",
            )),
            Err(other) => Err(other.into()),
        }
    }
}
