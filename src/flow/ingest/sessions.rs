//! The participants of sessions of Proxy: read at the source after a text, or the recording of a
//! call, is durable.
//!
//! Owns which number is whose. INVARIANT: a party is the person's own number. The mask is only a
//! line, for the rules about numbers, and is not stored.

use std::sync::Arc;

use super::{failure::FetchFailure, messages::interactions::place_of};
use crate::{
    db::{
        Db, recordings,
        session_calls::{self, SessionCall},
        work::{self, Lease},
    },
    flow::{
        consent::parties::PartyRegister, error::Error, reclassification::Reclassification,
        twilio_access::TwilioAccess,
    },
    model::{
        crash,
        details::Participant,
        id::RecordingId,
        recording::{Recording, RecordingState},
        sid::{CallSid, ProxyParticipantSid, ProxyServiceSid, ProxySessionSid},
        subject::{Address, Conversation},
    },
    twilio::{
        Account, Interaction, InteractionSide, MessageAddress, ProxyParticipant, RestError,
        rest::ProxyPlace,
    },
    vault::Keeping,
};

/// Reads who takes part in sessions.
pub(in crate::flow) struct SessionReading {
    db: Db,
    twilio: Arc<TwilioAccess>,
    parties: Arc<PartyRegister>,
    reclassification: Arc<Reclassification>,
}

impl SessionReading {
    pub(in crate::flow) fn new(
        db: Db,
        twilio: Arc<TwilioAccess>,
        parties: Arc<PartyRegister>,
        reclassification: Arc<Reclassification>,
    ) -> Self {
        Self {
            db,
            twilio,
            parties,
            reclassification,
        }
    }

    /// Names the participants of the session of a recording. `Ok` when they are named, and when
    /// nobody can know them any more.
    pub(in crate::flow) async fn read(
        &self,
        lease: &Lease<RecordingId>,
    ) -> Result<(), FetchFailure> {
        let ours = FetchFailure::Ours;
        let found = self.recording(lease.subject).await.map_err(ours)?;
        if let Some((recording, session)) = found {
            self.name_participants(&recording, &session).await?;
        }
        crash::point("sessions.named");
        let done = self.db.unit("sessions.done", async |mut unit| {
            unit.without_entry("the naming has an entry of its own");
            work::finish(&mut unit, lease).await
        });
        done.await.map_err(|error| ours(error.into()))
    }

    async fn recording(
        &self,
        id: RecordingId,
    ) -> Result<Option<(Recording, ProxySessionSid)>, Error> {
        let found = recordings::find(&mut self.db.read().await?, id).await?;
        let Some(recording) = found else {
            return Ok(None);
        };
        let is_kept = matches!(
            recording.state,
            RecordingState::Announced | RecordingState::Sealed
        );
        let session = match &recording.thread {
            Some(Conversation::Session(session)) if is_kept => session.clone(),
            _ => return Ok(None),
        };
        Ok(Some((recording, session)))
    }

    async fn name_participants(
        &self,
        recording: &Recording,
        session: &ProxySessionSid,
    ) -> Result<(), FetchFailure> {
        let ours = FetchFailure::Ours;
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(recording.account())
            .ok_or(FetchFailure::UnknownAccount)?;
        let Some((service, participants)) = self
            .participants(account, session)
            .await
            .map_err(FetchFailure::Parties)?
        else {
            metrics::counter!("recvault_parties_unknown_total").increment(1);
            return Ok(());
        };
        let lines: Vec<Address> = participants
            .iter()
            .flat_map(|party| [&party.identifier, &party.proxy_identifier])
            .flatten()
            .filter_map(|end| end.address().cloned())
            .collect();
        self.reclassification
            .reclassify_by_lines(recording, &lines)
            .await
            .map_err(ours)?;
        let (conversation, found) = match &recording.call {
            Some(call) => {
                let known = self.session_call(recording, call).await.map_err(ours)?;
                let call = match known {
                    Some(known) => Some(known),
                    // What was noted of it does not survive a restore, and is deleted in time.
                    None => {
                        let place = ProxyPlace {
                            service: &service,
                            session,
                        };
                        let listed = self.listed_call(account, place, recording, call).await;
                        listed.map_err(FetchFailure::Parties)?
                    }
                };
                let Some(call) = call else {
                    tracing::warn!(
                        recording = %recording.id, %session,
                        "Twilio lists no call of a recording in its session: nobody is named in it"
                    );
                    metrics::counter!("recvault_parties_unknown_total").increment(1);
                    return Ok(());
                };
                let found = of_call(&call, &participants);
                (Conversation::Call(call.call), found)
            }
            None => (
                Conversation::Session(session.clone()),
                participants.iter().map(participant).collect(),
            ),
        };
        self.parties
            .name_found(recording.account(), &conversation, &found, Keeping::Waits)
            .await
            .map_err(ours)?;
        metrics::counter!("recvault_parties_looked_up_total").increment(1);
        Ok(())
    }

    async fn session_call(
        &self,
        recording: &Recording,
        call: &CallSid,
    ) -> Result<Option<SessionCall>, Error> {
        let mut tx = self.db.read().await?;
        Ok(session_calls::find(&mut tx, recording.account(), call).await?)
    }

    /// Returns the two sides of a call, as the source lists it among what went through the session.
    async fn listed_call(
        &self,
        account: &Account,
        place: ProxyPlace<'_>,
        recording: &Recording,
        call: &CallSid,
    ) -> Result<Option<SessionCall>, RestError> {
        let client = &self.twilio.client;
        let mut pages = client.interactions(account, place);
        while let Some(page) = pages.next(client, account).await? {
            let is_of = |told: &&Interaction| {
                let sides = [&told.inbound, &told.outbound];
                let mut calls = sides.into_iter().filter_map(InteractionSide::call);
                calls.any(|of| of == *call)
            };
            if let Some(told) = page.items.iter().find(is_of) {
                return Ok(Some(SessionCall {
                    call: call.clone(),
                    account: recording.account().clone(),
                    session: place.session.clone(),
                    caller: told.inbound.participant.clone(),
                    callee: told.outbound.participant.clone(),
                    told_at: recording.announced_at,
                }));
            }
        }
        Ok(None)
    }

    /// Returns the service and the participants; `None` if the source has no such session any more.
    async fn participants(
        &self,
        account: &Account,
        session: &ProxySessionSid,
    ) -> Result<Option<(ProxyServiceSid, Vec<ProxyParticipant>)>, RestError> {
        let client = &self.twilio.client;
        let Some(service) = client.proxy_service_of(account, session).await? else {
            return Ok(None);
        };
        let place = ProxyPlace {
            service: &service,
            session,
        };
        match client.proxy_participants(account, place).await {
            Err(RestError::NotFound) => Ok(None),
            participants => Ok(Some((service.clone(), participants?))),
        }
    }
}

/// Returns the two sides of a call through a session, by their places in a call.
fn of_call(call: &SessionCall, participants: &[ProxyParticipant]) -> Vec<Participant> {
    let side = |place: &str, sid: &Option<ProxyParticipantSid>| {
        let found = participants
            .iter()
            .find(|told| Some(&told.sid) == sid.as_ref())?;
        Some(Participant {
            leg: place.parse().expect("the places of a call are places"),
            ..participant(found)
        })
    };
    let sides = [side("caller", &call.caller), side("callee", &call.callee)];
    sides.into_iter().flatten().collect()
}

/// Returns the person of a participation.
fn participant(told: &ProxyParticipant) -> Participant {
    let name = told.friendly_name.as_ref();
    Participant {
        address: told
            .identifier
            .as_ref()
            .and_then(MessageAddress::address)
            .cloned(),
        name: name.and_then(|name| Participant::name(name.expose())),
        ..Participant::at(place_of(&told.sid))
    }
}
