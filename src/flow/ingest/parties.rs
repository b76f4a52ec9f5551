//! Who took part: asked of the source before a recording is sealed, so that revocations and rules
//! for numbers see them.
//!
//! Owns when the source is asked and for how long it is waited for. Refuses to know what its
//! answers mean: `twilio` says that. INVARIANT: who took part is never a reason to lose a
//! recording. What cannot be found out in time is sealed without.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{failure::FetchFailure, keep::lets_go_unheard};
use crate::{
    db::{Db, details, parties, recordings, waiting, work::Lease},
    flow::{
        consent::parties::PartyRegister, error::Error, reclassification::Reclassification,
        twilio_access::TwilioAccess,
    },
    model::{
        details::Participant,
        id::RecordingId,
        name::LegName,
        recording::{Recording, RecordingState},
        subject::{Address, Conversation, Party},
    },
    policy::Rulebook,
    twilio::{
        Account, CallbackParties, RestError,
        parties::{of_call, of_conference, of_ended_conference},
        rest::CallResource,
    },
    vault::Keeping,
};

/// Attempts of a fetch that wait for the source to say who took part.
const PATIENCE: i64 = 3;
/// How long a callback's parties may take to be named: the source waits 15 s for its answer.
const IN_TIME: Duration = Duration::from_secs(5);

/// What came of asking the source who took part.
#[derive(Debug)]
pub(in crate::flow) enum LookedUp {
    /// It was not asked: the account wants none of it, or everything is known.
    NotAsked,
    /// It said, and they are named: with their places.
    Named(Vec<Participant>),
    /// It does not know, or does not say.
    Unknown,
    /// It could not say now.
    Later(RestError),
}

/// A recording that is to be fetched.
pub(super) struct FetchTarget {
    pub(super) recording: Recording,
    /// Who took part, as far as it was found out now and is kept nowhere yet.
    pub(super) parties: Vec<Participant>,
}

/// Asks the source who took part.
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

    /// The recording, if it waits to be fetched; in the tier to which it belongs by now, should its
    /// parties be known already.
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

    /// The recording of a fetch, if it waits for it; its parties are known as well as may be.
    pub(super) async fn known(
        &self,
        lease: &Lease<RecordingId>,
    ) -> Result<Option<FetchTarget>, FetchFailure> {
        let announced = || self.announced(lease.subject);
        let Some(recording) = announced().await.map_err(FetchFailure::Ours)? else {
            return Ok(None);
        };
        if lets_go_unheard(&self.rulebook, &recording).is_some() {
            // Of what is not kept nobody has to know who took part.
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
        // To name somebody can let go of it, or put it into another tier.
        let recording = announced().await.map_err(FetchFailure::Ours)?;
        Ok(recording.map(|recording| FetchTarget { recording, parties }))
    }

    /// Asks the source who took part in a recording, if that is wanted and not known, and names
    /// them in the vault's own name; who is known already stays who they are. What is sealed of a
    /// recording that is sealed already is completed. Asking again is harmless. It may find a
    /// revocation, which lets go of the recording at once.
    ///
    /// # Errors
    /// The database's. That the source cannot be asked is no error: see [`LookedUp::Later`].
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
                tracing::info!(recording = %recording.id, %error, "the source does not say who took part");
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
            .name_found(&conversation, &found, keeping)
            .await?;
        metrics::counter!("recvault_parties_looked_up_total").increment(1);
        Ok(LookedUp::Named(matched.parties))
    }

    /// Names whom a callback tells of; if that cannot be done now, they are looked up before the
    /// recording is sealed.
    pub(super) async fn name_told(&self, told: Option<CallbackParties>) {
        let Some(CallbackParties {
            conversation,
            parties,
        }) = told
        else {
            return;
        };
        let named = self
            .parties
            .name_found(&conversation, &parties, Keeping::Waits);
        let failed = match tokio::time::timeout(IN_TIME, named).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        };
        tracing::warn!(%conversation, why = failed, "whom a callback tells of is not named now");
    }

    /// Whether the source may know more of who took part than the vault does.
    async fn lacks_parties(
        &self,
        recording: &Recording,
        conversation: &Conversation,
    ) -> Result<bool, Error> {
        let mut tx = self.db.read().await?;
        if recording.state == RecordingState::Announced && self.rulebook.current().knows_numbers() {
            // The lines of a call are nobody's place in it, and are kept nowhere.
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
        let waits = waiting::find(&mut tx, std::slice::from_ref(&conversation)).await?;
        let waits = waits.get(&conversation);
        if parties
            .iter()
            .all(|party| waits.is_some_and(|waits| waits.contains_key(&party.leg)))
        {
            return Ok(false);
        }
        let others: Vec<RecordingId> = details::sealed_of(&mut tx, &conversation).await?;
        Ok(others.is_empty() || details::find(&mut tx, &others).await?.is_empty())
    }

    /// What the source says of who took part; and the lines that were used, the account's own among
    /// them.
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

/// Every line that these legs went over, whoever's it is.
fn lines<'a>(calls: impl IntoIterator<Item = &'a CallResource>) -> Vec<Address> {
    let ends = calls
        .into_iter()
        .flat_map(|call| [call.from.as_deref(), call.to.as_deref()]);
    ends.flatten()
        .filter_map(|text| Address::parse(text).ok())
        .collect()
}

/// The parties that count for a recording, and in which conversation: those of its conference, if
/// any are named there, and otherwise those of its call.
async fn named(
    tx: &mut crate::db::Tx,
    recording: &Recording,
) -> Result<(Option<Conversation>, Vec<Party>), Error> {
    let both: Vec<Conversation> = recording.conversations().collect();
    let mut known = parties::of(tx, &both).await?;
    let first = both
        .into_iter()
        .find(|conversation| known.contains_key(conversation));
    let parties = first
        .as_ref()
        .and_then(|first| known.remove(first))
        .unwrap_or_default();
    Ok((first, parties))
}

/// Who is on which channel of a recording, as far as it is known.
///
/// # Errors
/// The database's.
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
