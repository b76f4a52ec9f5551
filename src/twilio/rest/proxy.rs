//! Proxy over REST: sessions, participants, interactions
//! (<https://www.twilio.com/docs/proxy/api>).
//!
//! The deletion of an interaction does not delete the messages or calls behind it, and the effect of
//! a session's deletion on its interactions is not documented: delete the resources, then the
//! interactions, then the session.

use super::{Account, ApiUrl, RestApi, RestError, TwilioClient, deletion::Deletion, page::Pages};
use crate::{
    model::sid::{InteractionSid, ProxyParticipantSid, ProxyServiceSid, ProxySessionSid},
    twilio::proxy::{Interaction, ProxyParticipant, ProxySession},
};

const OTHER: RestError = RestError::Shape("the answer is about another session");

/// A session, and the service that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct ProxyPlace<'a> {
    /// Its service.
    pub service: &'a ProxyServiceSid,
    /// The session.
    pub session: &'a ProxySessionSid,
}

impl Account {
    fn proxy_url(&self, place: ProxyPlace<'_>, rest: &str) -> ApiUrl {
        let ProxyPlace { service, session } = place;
        let path = format!("/v1/Services/{service}/Sessions/{session}{rest}");
        self.url(RestApi::Proxy, &path)
    }
}

/// A service of Proxy.
#[derive(Clone, Debug, serde::Deserialize)]
struct ServiceResource {
    sid: ProxyServiceSid,
}

impl TwilioClient {
    /// Returns the account's services.
    pub async fn proxy_services(
        &self,
        account: &Account,
    ) -> Result<Vec<ProxyServiceSid>, RestError> {
        let url = account.url(RestApi::Proxy, "/v1/Services");
        let url = url.with("PageSize", "100");
        let list = self
            .all::<ServiceResource>(account, url, "services")
            .await?;
        if list.unreadable > 0 {
            return Err(RestError::Shape("the list of services is not readable"));
        }
        let services = list.items.into_iter();
        Ok(services.map(|service| service.sid).collect())
    }

    /// Returns the service of a session; `None` if no service of the account has it.
    pub async fn proxy_service_of(
        &self,
        account: &Account,
        session: &ProxySessionSid,
    ) -> Result<Option<ProxyServiceSid>, RestError> {
        for service in self.proxy_services(account).await? {
            let place = ProxyPlace {
                service: &service,
                session,
            };
            match self.proxy_session(account, place).await {
                Err(RestError::NotFound) => {}
                found => {
                    found?;
                    return Ok(Some(service));
                }
            }
        }
        Ok(None)
    }

    /// Returns the sessions of a service, newest first. Sends no request yet.
    pub fn proxy_sessions(
        &self,
        account: &Account,
        service: &ProxyServiceSid,
    ) -> Pages<ProxySession> {
        let url = account.url(RestApi::Proxy, &format!("/v1/Services/{service}/Sessions"));
        Pages::new(url.with("PageSize", "100"), "sessions")
    }

    /// Returns a session.
    pub async fn proxy_session(
        &self,
        account: &Account,
        place: ProxyPlace<'_>,
    ) -> Result<ProxySession, RestError> {
        let found: ProxySession = self.get(account, account.proxy_url(place, "")).await?;
        if found.sid == *place.session {
            Ok(found)
        } else {
            Err(OTHER)
        }
    }

    /// Returns the participants of a session, with their own numbers.
    pub async fn proxy_participants(
        &self,
        account: &Account,
        place: ProxyPlace<'_>,
    ) -> Result<Vec<ProxyParticipant>, RestError> {
        let url = account
            .proxy_url(place, "/Participants")
            .with("PageSize", "100");
        let list = self
            .all::<ProxyParticipant>(account, url, "participants")
            .await?;
        let is_its = |participant: &ProxyParticipant| participant.session == *place.session;
        if list.unreadable == 0 && list.items.iter().all(is_its) {
            Ok(list.items)
        } else {
            Err(OTHER)
        }
    }

    /// Returns the interactions of a session. Sends no request yet.
    pub fn interactions(&self, account: &Account, place: ProxyPlace<'_>) -> Pages<Interaction> {
        let url = account
            .proxy_url(place, "/Interactions")
            .with("PageSize", "100");
        Pages::new(url, "interactions")
    }

    /// Returns an interaction.
    pub async fn interaction(
        &self,
        account: &Account,
        place: ProxyPlace<'_>,
        sid: &InteractionSid,
    ) -> Result<Interaction, RestError> {
        let url = account.proxy_url(place, &format!("/Interactions/{sid}"));
        let found: Interaction = self.get(account, url).await?;
        if found.sid == *sid && found.session == *place.session {
            Ok(found)
        } else {
            Err(OTHER)
        }
    }

    /// Deletes an interaction. The messages or calls behind it stay.
    pub async fn delete_interaction(
        &self,
        account: &Account,
        place: ProxyPlace<'_>,
        sid: &InteractionSid,
    ) -> Result<Deletion, RestError> {
        let url = account.proxy_url(place, &format!("/Interactions/{sid}"));
        self.remove(account, url).await
    }

    /// Removes a participant. Here Twilio's schema has 200 beside 204, so both are a deletion.
    pub async fn delete_proxy_participant(
        &self,
        account: &Account,
        place: ProxyPlace<'_>,
        sid: &ProxyParticipantSid,
    ) -> Result<Deletion, RestError> {
        let url = account.proxy_url(place, &format!("/Participants/{sid}"));
        match self.remove(account, url).await? {
            Deletion::Refused { status: 200, .. } => Ok(Deletion::Deleted),
            other => Ok(other),
        }
    }

    /// Deletes a session.
    pub async fn delete_proxy_session(
        &self,
        account: &Account,
        place: ProxyPlace<'_>,
    ) -> Result<Deletion, RestError> {
        self.remove(account, account.proxy_url(place, "")).await
    }
}
