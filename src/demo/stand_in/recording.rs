//! Recordings as tests create and change them, and their remaining copies.

use bytes::Bytes;

use super::{StandIn, State, World, encryption_facts::EncryptionFacts, subscription::Subscription};
use crate::{
    demo::conversation::{self, ConversationFacts, WAV},
    model::{
        sid::{AccountSid, CallSid, ConferenceSid, RecordingSid},
        time::Timestamp,
    },
};

/// The facts of a recording besides its account. [`RecordingFacts::new`] creates those of an
/// ordinary call.
#[derive(Clone, Debug)]
pub struct RecordingFacts {
    /// The file, if there is one at Twilio.
    pub media: Option<Bytes>,
    /// The status in the REST resource: `in-progress`, `paused`, `stopped`, `processing`,
    /// `completed`, `absent`, `deleted`.
    pub status: String,
    /// `DialVerb`, `Conference`, `OutboundAPI`, `Trunking`, `RecordVerb`, `StartCallRecordingAPI`,
    /// `StartConferenceRecordingAPI`...
    pub source: String,
    /// The call; a conference's recording may have none.
    pub call: Option<CallSid>,
    /// The conference.
    pub conference: Option<ConferenceSid>,
    /// `inbound`, `outbound`, `both`.
    pub track: String,
    /// The number of channels; read from the file if there is one.
    pub channels: u16,
    /// The reason why it is absent: 16101 (too short), 16102 (silent).
    pub error_code: Option<u32>,
    /// The beginning; without it, shortly before the recording is added.
    pub created: Option<Timestamp>,
    /// The location of its file, if Twilio stores it elsewhere.
    pub media_url: Option<String>,
}

impl RecordingFacts {
    /// Creates a completed recording of a two-party call; the call's SID has the digits of the
    /// recording's.
    pub fn new(sid: &RecordingSid, media: Bytes) -> Self {
        Self {
            channels: sound(Some(&media)).channels,
            media: Some(media),
            status: "completed".to_owned(),
            source: "DialVerb".to_owned(),
            call: Some(call_of(sid)),
            conference: None,
            track: "both".to_owned(),
            error_code: None,
            created: None,
            media_url: None,
        }
    }

    /// Creates a recording of a conference, without a call.
    pub fn of_conference(sid: &RecordingSid, conference: ConferenceSid, media: Bytes) -> Self {
        Self {
            source: "Conference".to_owned(),
            call: None,
            conference: Some(conference),
            ..Self::new(sid, media)
        }
    }

    /// Creates a recording of a SIP trunk: Twilio never sends callbacks for it.
    pub fn of_trunk(sid: &RecordingSid, media: Bytes) -> Self {
        Self {
            source: "Trunking".to_owned(),
            ..Self::new(sid, media)
        }
    }
}

/// A recording at the stand-in.
#[derive(Clone)]
pub(super) struct HeldRecording {
    pub(super) account: AccountSid,
    pub(super) facts: RecordingFacts,
    pub(super) sound: ConversationFacts,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) deleted: Option<Timestamp>,
    pub(super) encryption: Option<EncryptionFacts>,
    /// The subscription of the request that started it.
    pub(super) callback: Option<Subscription>,
    pub(super) started_with: Vec<(String, String)>,
}

/// The copies of a recording that the stand-in still has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemainingCopies {
    /// Its status, if it is still known.
    pub status: Option<String>,
    /// Whether its file is here.
    pub media: bool,
    /// The time at which the metadata of a deleted recording expires.
    pub metadata_until: Option<Timestamp>,
    /// `TR…` of its transcriptions.
    pub transcriptions: Vec<String>,
    /// `XR…` of its add-on results.
    pub add_ons: Vec<String>,
    /// `GT…` of the Intelligence transcripts made from it, or from its call.
    pub transcripts: Vec<String>,
}

impl RemainingCopies {
    /// Whether any audio or text of the conversation remains.
    pub fn content(&self) -> bool {
        self.media
            || !self.transcriptions.is_empty()
            || !self.add_ons.is_empty()
            || !self.transcripts.is_empty()
    }
}

impl StandIn {
    /// Adds a recording. The number of channels is read from the file; a file that is not WAV
    /// counts as mono.
    pub fn add_recording(&self, account: &AccountSid, sid: RecordingSid, wav: Bytes) {
        let facts = RecordingFacts::new(&sid, wav);
        self.add_recording_of(account, sid, facts);
    }

    /// Adds a recording of any kind, replacing one with this SID.
    pub fn add_recording_of(&self, account: &AccountSid, sid: RecordingSid, facts: RecordingFacts) {
        let held = held(&self.world, account, facts);
        self.world.state().recordings.insert(sid, held);
    }

    /// Adds a recording whose file Twilio stored elsewhere: there is no media here, and `media_url`
    /// is its location.
    pub fn add_external_recording(
        &self,
        account: &AccountSid,
        sid: RecordingSid,
        wav: &[u8],
        media_url: impl Into<String>,
    ) {
        let facts = RecordingFacts::new(&sid, Bytes::copy_from_slice(wav));
        let mut held = held(&self.world, account, facts);
        held.facts.media = None;
        held.facts.media_url = Some(media_url.into());
        self.world.state().recordings.insert(sid, held);
    }

    /// Starts the recording of a call. Subscribers receive `in-progress`.
    pub fn begin_recording(&self, account: &AccountSid, sid: RecordingSid, call: CallSid) {
        let facts = RecordingFacts {
            media: None,
            status: "in-progress".to_owned(),
            call: Some(call),
            channels: 2,
            ..RecordingFacts::new(&sid, Bytes::new())
        };
        self.add_recording_of(account, sid.clone(), facts);
        self.announce(&sid, "in-progress");
    }

    /// Completes a running recording: its media can be fetched, and subscribers receive
    /// `completed`. Without a file of its own it has the demo's conversation. No effect on an
    /// unknown recording.
    pub fn completed(&self, sid: &RecordingSid) {
        self.world.complete(&mut self.world.state(), sid);
    }

    /// Completes a running recording with this file.
    pub fn completed_with(&self, sid: &RecordingSid, wav: Bytes) {
        self.replace_media(sid, wav);
        self.completed(sid);
    }

    /// Changes the status of a recording, without a callback.
    pub fn set_status(&self, sid: &RecordingSid, status: &str) {
        if let Some(held) = self.world.state().recordings.get_mut(sid) {
            status.clone_into(&mut held.facts.status);
            held.facts.error_code = (status == "absent").then_some(16101);
        }
    }

    /// Replaces a recording's media, for example with damaged bytes.
    pub fn replace_media(&self, sid: &RecordingSid, media: Bytes) {
        if let Some(held) = self.world.state().recordings.get_mut(sid) {
            if held.encryption.is_none() {
                held.sound = sound(Some(&media));
            }
            held.facts.media = Some(media);
        }
    }

    /// Returns the bytes of a recording's media, encrypted if the recording is.
    pub fn media(&self, sid: &RecordingSid) -> Option<Bytes> {
        self.world.state().recordings.get(sid)?.facts.media.clone()
    }

    /// Removes a recording completely, as if it was deleted long ago.
    pub fn remove_recording(&self, sid: &RecordingSid) {
        self.world.state().recordings.remove(sid);
    }

    /// Returns the parameters of the request that started this recording over REST; empty for
    /// others.
    pub fn started_with(&self, sid: &RecordingSid) -> Vec<(String, String)> {
        self.world
            .state()
            .recordings
            .get(sid)
            .map(|held| held.started_with.clone())
            .unwrap_or_default()
    }

    /// Returns the recordings of a call, oldest first, including deleted ones.
    pub fn recordings_of(&self, call: &CallSid) -> Vec<RecordingSid> {
        let state = self.world.state();
        let mut found: Vec<_> = state
            .recordings
            .iter()
            .filter(|(_, held)| held.facts.call.as_ref() == Some(call))
            .collect();
        found.sort_by_key(|(sid, held)| (held.created, (*sid).clone()));
        found.into_iter().map(|(sid, _)| sid.clone()).collect()
    }

    /// Returns the remaining copies of a recording.
    pub fn kept(&self, sid: &RecordingSid) -> RemainingCopies {
        let now = self.world.hours.now();
        let state = self.world.state();
        let held = state.recording(sid, now);
        let sources = [
            Some(sid.to_string()),
            Some(
                held.and_then(|held| held.facts.call.clone())
                    .unwrap_or_else(|| call_of(sid))
                    .to_string(),
            ),
        ];
        RemainingCopies {
            status: held.map(|held| held.facts.status.clone()),
            media: held.is_some_and(|held| held.facts.media.is_some()),
            metadata_until: held
                .and_then(|held| held.deleted)
                .map(|at| at.after(state.behaviour.metadata_kept)),
            transcriptions: keys(&state.transcriptions, |facts| facts.recording == *sid),
            add_ons: keys(&state.add_ons, |facts| facts.recording == *sid),
            transcripts: keys(&state.transcripts, |facts| {
                sources.contains(&facts.source_sid)
            }),
        }
    }
}

fn keys<T>(
    held: &std::collections::BTreeMap<String, super::Owned<T>>,
    is_its: impl Fn(&T) -> bool,
) -> Vec<String> {
    held.iter()
        .filter(|(_, owned)| is_its(&owned.facts))
        .map(|(sid, _)| sid.clone())
        .collect()
}

impl State {
    /// Returns a recording, unless its metadata has expired.
    pub(super) fn recording(&self, sid: &RecordingSid, now: Timestamp) -> Option<&HeldRecording> {
        self.recordings
            .get(sid)
            .filter(|held| !self.has_expired(held, now))
    }

    pub(super) fn has_expired(&self, held: &HeldRecording, now: Timestamp) -> bool {
        held.deleted
            .is_some_and(|at| now > at.after(self.behaviour.metadata_kept))
    }
}

impl World {
    /// Completes a recording, and queues the callbacks of its subscribers.
    pub(super) fn complete(&self, state: &mut State, sid: &RecordingSid) {
        let Some(held) = state.recordings.get_mut(sid) else {
            return;
        };
        if held.facts.media.is_none() && held.facts.media_url.is_none() {
            let mono = if held.facts.channels == 1 {
                conversation::mix_to_mono(WAV)
            } else {
                None
            };
            let media = mono.map_or(Bytes::from_static(WAV), Bytes::from);
            held.sound = sound(Some(&media));
            held.facts.media = Some(media);
        }
        "completed".clone_into(&mut held.facts.status);
        held.updated = self.hours.now();
        self.transcribe(state, sid);
        self.announce(state, sid, "completed");
    }
}

pub(super) fn held(world: &World, account: &AccountSid, facts: RecordingFacts) -> HeldRecording {
    let created = facts.created.unwrap_or_else(|| world.hours.lately());
    let sound = facts.media.as_ref().map_or(
        ConversationFacts {
            channels: facts.channels,
            seconds: 0,
        },
        |media| sound(Some(media)),
    );
    HeldRecording {
        account: account.clone(),
        facts,
        sound,
        created,
        updated: created,
        deleted: None,
        encryption: None,
        callback: None,
        started_with: Vec::new(),
    }
}

fn sound(media: Option<&Bytes>) -> ConversationFacts {
    media
        .and_then(|media| conversation::facts(media))
        .unwrap_or(ConversationFacts {
            channels: 1,
            seconds: 0,
        })
}

/// Returns the default call of a recording.
pub(super) fn call_of(recording: &RecordingSid) -> CallSid {
    let sid = format!("CA{}", recording.as_str().trim_start_matches("RE"));
    sid.parse()
        .expect("a recording's digits are a call's digits")
}
