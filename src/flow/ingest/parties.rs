//! Look-up of parties: the source is queried before a recording is sealed, so that revocations and
//! rules for numbers apply.
//!
//! Owns when the source is queried and for how long it is waited for. Refuses to interpret the
//! answers: `twilio` does. INVARIANT: missing parties are never a reason to lose a recording. If
//! they cannot be found in time, it is sealed without them.

mod room;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{failure::FetchFailure, keep::lets_go_unheard};
use crate::{
    db::{Db, details, parties, recordings, session_calls, waiting, work::Lease},
    flow::{
        consent::parties::{PartyRegister, joining::Joining},
        error::Error,
        reclassification::Reclassification,
        twilio_access::TwilioAccess,
    },
    model::{
        details::Participant,
        id::RecordingId,
        name::LegName,
        recording::{Recording, RecordingState},
        sid::AccountSid,
        subject::{Address, Conversation, Party, PartyScope},
    },
    policy::Rulebook,
    twilio::{
        Account, CallbackParties, RestError,
        parties::{of_call, of_conference, of_ended_conference},
        rest::CallResource,
    },
    vault::Keeping,
};

/// The number of fetch attempts that wait for the source to list the participants.
const PATIENCE: i64 = 3;
/// The time limit for naming a callback's parties: the source waits 15 s for its response.
const IN_TIME: Duration = Duration::from_secs(5);

/// The result of a look-up.
#[derive(Debug)]
pub(in crate::flow) enum LookedUp {
    /// The source was not queried: the account does not look up parties, or all are known.
    NotAsked,
    /// The participants were found and named, with their legs.
    Named(Vec<Participant>),
    /// The source does not know them, or refuses.
    Unknown,
    /// The source could not answer now.
    Later(RestError),
}

/// A recording to be fetched.
pub(super) struct FetchTarget {
    pub(super) recording: Recording,
    /// The participants that were just found and are not stored yet.
    pub(super) parties: Vec<Participant>,
}

/// Looks up the parties of recordings at the source.
pub(in crate::flow) struct PartyLookup {
    db: Db,
    rulebook: Arc<Rulebook>,
    twilio: Arc<TwilioAccess>,
    parties: Arc<PartyRegister>,
    reclassification: Arc<Reclassification>,
}

impl PartyLookup {
    pub(in crate::flow) fn new(
        db: Db,
        rulebook: Arc<Rulebook>,
        twilio: Arc<TwilioAccess>,
        parties: Arc<PartyRegister>,
        reclassification: Arc<Reclassification>,
    ) -> Self {
        Self {
            db,
            rulebook,
            twilio,
            parties,
            reclassification,
        }
    }

    /// Returns a recording as it is now.
    pub(super) async fn recording(&self, id: RecordingId) -> Result<Option<Recording>, Error> {
        Ok(recordings::find(&mut self.db.read().await?, id).await?)
    }

    /// Returns the recording if it waits to be fetched, after moving it to the tier of its parties,
    /// if these are known already.
    async fn announced(&self, id: RecordingId) -> Result<Option<Recording>, Error> {
        let find = async || Ok::<_, Error>(recordings::find(&mut self.db.read().await?, id).await?);
        let Some(recording) = find()
            .await?
            .filter(|recording| recording.state == RecordingState::Announced)
        else {
            return Ok(None);
        };
        if self
            .reclassification
            .reclassify_by_parties(&recording)
            .await?
        {
            find().await
        } else {
            Ok(Some(recording))
        }
    }

    /// Returns the recording of a fetch if it still waits for it, with its parties as far as they
    /// can be found.
    pub(super) async fn known(
        &self,
        lease: &Lease<RecordingId>,
    ) -> Result<Option<FetchTarget>, FetchFailure> {
        let announced = || self.announced(lease.subject);
        let Some(recording) = announced().await.map_err(FetchFailure::Ours)? else {
            return Ok(None);
        };
        let recording = self
            .in_its_session(recording)
            .await
            .map_err(FetchFailure::Ours)?;
        if lets_go_unheard(&self.rulebook, &recording).is_some() {
            // The parties of a recording that is not kept are not needed.
            return Ok(Some(FetchTarget {
                recording,
                parties: Vec::new(),
            }));
        }
        let parties = match self
            .look_up_parties(&recording)
            .await
            .map_err(FetchFailure::Ours)?
        {
            LookedUp::NotAsked => {
                return Ok(Some(FetchTarget {
                    recording,
                    parties: Vec::new(),
                }));
            }
            LookedUp::Named(parties) => parties,
            LookedUp::Later(error) if lease.attempts < PATIENCE => {
                return Err(FetchFailure::Parties(error));
            }
            LookedUp::Later(_) | LookedUp::Unknown => {
                metrics::counter!("recvault_parties_unknown_total").increment(1);
                Vec::new()
            }
        };
        // A naming can shred it, or move it to another tier.
        let recording = announced().await.map_err(FetchFailure::Ours)?;
        Ok(recording.map(|recording| FetchTarget { recording, parties }))
    }

    /// Groups the recording of a call in the session that the call goes through, if one is known. A
    /// session that becomes known later finds the recording.
    async fn in_its_session(&self, recording: Recording) -> Result<Recording, Error> {
        let Some(call) = recording
            .call
            .as_ref()
            .filter(|_| recording.thread.is_none())
        else {
            return Ok(recording);
        };
        let account = recording.account();
        let Some(known) = session_calls::find(&mut self.db.read().await?, account, call).await?
        else {
            return Ok(recording);
        };
        let joining = Joining::Calls {
            session: &known.session,
            calls: std::slice::from_ref(call),
            noted: &[],
        };
        self.parties.join(account, joining).await?;
        Ok(Recording {
            thread: Some(Conversation::Session(known.session)),
            ..recording
        })
    }

    /// Looks up the participants of a recording at the source, if the account wants that and they
    /// are not known, and names them in the vault's own name; known parties stay the same. The
    /// sealed details of a sealed recording are completed. Repeating it is harmless. A party's
    /// revocation may apply, which shreds the recording immediately.
    ///
    /// # Errors
    /// Any database error. An unavailable source is no error: see [`LookedUp::Later`].
    pub(in crate::flow) async fn look_up_parties(
        &self,
        recording: &Recording,
    ) -> Result<LookedUp, Error> {
        let Some(conversation) = recording.conversation() else {
            return Ok(LookedUp::NotAsked);
        };
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(recording.account())
            .filter(|account| account.looks_up_parties());
        if let Conversation::Room(room) = &conversation {
            return self.look_up_room(account, recording, room).await;
        }
        let Some(account) = account else {
            return Ok(LookedUp::NotAsked);
        };
        if !self.lacks_parties(recording, &conversation).await? {
            return Ok(LookedUp::NotAsked);
        }
        let (found, lines) = match self.found(account, recording).await {
            Ok(found) => found,
            Err(error) if error.passes() => return Ok(LookedUp::Later(error)),
            Err(error) => {
                tracing::info!(
                    recording = %recording.id, %error,
                    "Twilio does not list the participants of a recording"
                );
                return Ok(LookedUp::Unknown);
            }
        };
        self.reclassification
            .reclassify_by_lines(recording, &lines)
            .await?;
        if found.is_empty() {
            return Ok(LookedUp::Unknown);
        }
        let keeping = if recording.state == RecordingState::Sealed {
            Keeping::Waits
        } else {
            Keeping::Carried
        };
        let matched = self
            .parties
            .name_found(recording.account(), &conversation, &found, keeping)
            .await?;
        metrics::counter!("recvault_parties_looked_up_total").increment(1);
        Ok(LookedUp::Named(matched.parties))
    }

    /// Names the parties of a callback about this account; if that fails, they are looked up before the recording is
    /// sealed.
    pub(super) async fn name_told(&self, account: &AccountSid, told: Option<CallbackParties>) {
        let Some(CallbackParties {
            conversation,
            parties,
        }) = told
        else {
            return;
        };
        let named = self
            .parties
            .name_found(account, &conversation, &parties, Keeping::Waits);
        let failed = match tokio::time::timeout(IN_TIME, named).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the look-up takes too long".to_owned(),
        };
        tracing::warn!(
            %conversation, why = failed,
            "the parties in a callback could not be stored now"
        );
    }

    /// Returns whether the source may know more about the participants than the vault.
    async fn lacks_parties(
        &self,
        recording: &Recording,
        conversation: &Conversation,
    ) -> Result<bool, Error> {
        let mut tx = self.db.read().await?;
        if recording.state == RecordingState::Announced && self.rulebook.current().knows_numbers() {
            // The phone lines of a call are no parties, and are not stored.
            return Ok(true);
        }
        let (named_in, parties) = named(&mut tx, recording).await?;
        let conversation = named_in.unwrap_or_else(|| conversation.clone());
        if parties.len() < 2 || parties.iter().any(|party| party.subject.is_none()) {
            return Ok(true);
        }
        if recording.channels == Some(2) && parties.iter().all(|party| party.channel.is_none()) {
            return Ok(true);
        }
        if recording.state == RecordingState::Sealed {
            return Ok(!details::is_there(&mut tx, recording.id).await?);
        }
        let scope = PartyScope::from(recording.account());
        let waits = waiting::find(&mut tx, &scope, std::slice::from_ref(&conversation)).await?;
        if parties
            .iter()
            .all(|party| waits.keys().any(|place| place.leg == party.leg))
        {
            return Ok(false);
        }
        let others: Vec<RecordingId> = details::sealed_of(&mut tx, &scope, &conversation).await?;
        Ok(others.is_empty() || details::find(&mut tx, &others).await?.is_empty())
    }

    /// Returns the participants that the source lists, and the phone lines that were used,
    /// including the account's own.
    async fn found(
        &self,
        account: &Account,
        recording: &Recording,
    ) -> Result<(Vec<Participant>, Vec<Address>), RestError> {
        let client = &self.twilio.client;
        let Some(conference) = &recording.conference else {
            let Some(sid) = &recording.call else {
                return Ok(Default::default());
            };
            let mut call = client.call(account, sid).await?;
            let mut children = client.child_calls(account, sid).await?;
            // The recording may be of a leg that was dialled.
            if let (Some(parent), true) = (&call.parent_call_sid, children.is_empty()) {
                let parent = client.call(account, parent).await?;
                children = vec![std::mem::replace(&mut call, parent)];
            }
            let found = of_call(&call, &children, recording.source.as_deref());
            return Ok((found, lines(children.iter().chain([&call]))));
        };
        let participants = match client.participants(account, conference).await {
            Err(RestError::NotFound) => Vec::new(),
            participants => participants?,
        };
        if participants.is_empty() {
            let Some(sid) = &recording.call else {
                return Ok(Default::default());
            };
            let call = client.call(account, sid).await?;
            return Ok((of_ended_conference(&call), lines([&call])));
        }
        let mut all = Vec::with_capacity(participants.len());
        for participant in participants {
            let call = match &participant.call_sid {
                None => None,
                Some(sid) => match client.call(account, sid).await {
                    Err(RestError::NotFound) => None,
                    call => Some(call?),
                },
            };
            all.push((participant, call));
        }
        Ok((
            of_conference(&all),
            lines(all.iter().filter_map(|(_, call)| call.as_ref())),
        ))
    }
}

/// Returns every phone line of these legs.
fn lines<'a>(calls: impl IntoIterator<Item = &'a CallResource>) -> Vec<Address> {
    let ends = calls
        .into_iter()
        .flat_map(|call| [call.from.as_deref(), call.to.as_deref()]);
    ends.flatten()
        .filter_map(|text| Address::parse(text).ok())
        .collect()
}

/// Returns the parties that apply to a recording, and their conversation: its conference if that
/// has named parties, otherwise its call.
async fn named(
    tx: &mut crate::db::Tx,
    recording: &Recording,
) -> Result<(Option<Conversation>, Vec<Party>), Error> {
    let both: Vec<Conversation> = recording.conversations().collect();
    let scope = PartyScope::from(recording.account());
    let mut known = parties::of(tx, &scope, &both).await?;
    let first = both
        .into_iter()
        .find(|conversation| known.contains_key(conversation));
    let parties = first
        .as_ref()
        .and_then(|first| known.remove(first))
        .unwrap_or_default();
    Ok((first, parties))
}

/// Returns the known leg on each channel of a recording.
///
/// # Errors
/// Any database error.
pub(in crate::flow) async fn legs_by_channel(
    db: &Db,
    recording: &Recording,
) -> Result<BTreeMap<u8, LegName>, Error> {
    let (_, parties) = named(&mut db.read().await?, recording).await?;
    Ok(parties
        .into_iter()
        .filter_map(|party| Some((party.channel?, party.leg)))
        .collect())
}
