//! Recordings as tests make them and change them, and what is left of one.

use bytes::Bytes;

use super::{StandIn, State, World, encryption_facts::EncryptionFacts, subscription::Subscription};
use crate::{
    demo::conversation::{self, ConversationFacts, WAV},
    model::{
        sid::{AccountSid, CallSid, ConferenceSid, RecordingSid},
        time::Timestamp,
    },
};

/// What is known of a recording besides its account. [`RecordingFacts::new`] is that of an ordinary
/// call.
#[derive(Clone, Debug)]
pub struct RecordingFacts {
    /// The file, if there is one at Twilio.
    pub media: Option<Bytes>,
    /// As the REST resource says: `in-progress`, `paused`, `stopped`, `processing`, `completed`,
    /// `absent`, `deleted`.
    pub status: String,
    /// `DialVerb`, `Conference`, `OutboundAPI`, `Trunking`, `RecordVerb`, `StartCallRecordingAPI`,
    /// `StartConferenceRecordingAPI`...
    pub source: String,
    /// The call; of a conference, there may be none.
    pub call: Option<CallSid>,
    /// The conference.
    pub conference: Option<ConferenceSid>,
    /// `inbound`, `outbound`, `both`.
    pub track: String,
    /// Channels; read from the file where there is one.
    pub channels: u16,
    /// Why it is absent: 16101 (too short), 16102 (silent).
    pub error_code: Option<u32>,
    /// When it began; without it, shortly before it is added.
    pub created: Option<Timestamp>,
    /// Where its file is, if Twilio stores it elsewhere.
    pub media_url: Option<String>,
}

impl RecordingFacts {
    /// A completed recording of a two-party call; the call's SID has the digits of the recording's.
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

    /// One of a conference: no call, mono.
    pub fn of_conference(sid: &RecordingSid, conference: ConferenceSid, media: Bytes) -> Self {
        Self {
            source: "Conference".to_owned(),
            call: None,
            conference: Some(conference),
            ..Self::new(sid, media)
        }
    }

    /// One of a SIP trunk: Twilio never tells about it.
    pub fn of_trunk(sid: &RecordingSid, media: Bytes) -> Self {
        Self {
            source: "Trunking".to_owned(),
            ..Self::new(sid, media)
        }
    }
}

/// A recording here.
#[derive(Clone)]
pub(super) struct HeldRecording {
    pub(super) account: AccountSid,
    pub(super) facts: RecordingFacts,
    pub(super) sound: ConversationFacts,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) deleted: Option<Timestamp>,
    pub(super) encryption: Option<EncryptionFacts>,
    /// Whom the request that began it wants to be told.
    pub(super) callback: Option<Subscription>,
    pub(super) started_with: Vec<(String, String)>,
}

/// What the stand-in still has of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemainingCopies {
    /// Its status, if it is still known.
    pub status: Option<String>,
    /// Whether its file is here.
    pub media: bool,
    /// Until when the metadata of a deleted recording stays.
    pub metadata_until: Option<Timestamp>,
    /// `TR…` of its transcriptions.
    pub transcriptions: Vec<String>,
    /// `XR…` of its add-on results.
    pub add_ons: Vec<String>,
    /// `GT…` of the Intelligence transcripts made from it, or from its call.
    pub transcripts: Vec<String>,
}

impl RemainingCopies {
    /// Whether anything is left of what was said, in sound or in words.
    pub fn content(&self) -> bool {
        self.media
            || !self.transcriptions.is_empty()
            || !self.add_ons.is_empty()
            || !self.transcripts.is_empty()
    }
}

impl StandIn {
    /// Makes a recording available. How many channels it has is read from the file; anything that
    /// is no WAV file counts as mono.
    pub fn add_recording(&self, account: &AccountSid, sid: RecordingSid, wav: Bytes) {
        let facts = RecordingFacts::new(&sid, wav);
        self.add_recording_of(account, sid, facts);
    }

    /// Makes a recording of any kind known, in place of one with this SID.
    pub fn add_recording_of(&self, account: &AccountSid, sid: RecordingSid, facts: RecordingFacts) {
        let held = held(&self.world, account, facts);
        self.world.state().recordings.insert(sid, held);
    }

    /// Makes a recording known whose file Twilio stored elsewhere: there is no media here, and
    /// `media_url` says where it is.
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

    /// A call is being recorded. Subscribers hear `in-progress`.
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

    /// A recording that ran is processed: its media can be fetched, and subscribers hear
    /// `completed`. Without a file of its own it is the demo's conversation. No effect on one that
    /// is not known.
    pub fn completed(&self, sid: &RecordingSid) {
        self.world.complete(&mut self.world.state(), sid);
    }

    /// The same with this file.
    pub fn completed_with(&self, sid: &RecordingSid, wav: Bytes) {
        self.replace_media(sid, wav);
        self.completed(sid);
    }

    /// Gives a recording another status, without telling anybody.
    pub fn set_status(&self, sid: &RecordingSid, status: &str) {
        if let Some(held) = self.world.state().recordings.get_mut(sid) {
            status.clone_into(&mut held.facts.status);
            held.facts.error_code = (status == "absent").then_some(16101);
        }
    }

    /// Puts other bytes in the place of a recording's media, such as damaged ones.
    pub fn replace_media(&self, sid: &RecordingSid, media: Bytes) {
        if let Some(held) = self.world.state().recordings.get_mut(sid) {
            if held.encryption.is_none() {
                held.sound = sound(Some(&media));
            }
            held.facts.media = Some(media);
        }
    }

    /// The bytes that a recording's media is here, sealed if it is.
    pub fn media(&self, sid: &RecordingSid) -> Option<Bytes> {
        self.world.state().recordings.get(sid)?.facts.media.clone()
    }

    /// Takes a recording away without a trace, as if it was deleted long ago.
    pub fn remove_recording(&self, sid: &RecordingSid) {
        self.world.state().recordings.remove(sid);
    }

    /// The parameters of the request that began this recording over REST; empty for others.
    pub fn started_with(&self, sid: &RecordingSid) -> Vec<(String, String)> {
        self.world
            .state()
            .recordings
            .get(sid)
            .map(|held| held.started_with.clone())
            .unwrap_or_default()
    }

    /// The recordings of a call, oldest first, deleted ones included.
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

    /// What is still here of a recording.
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
    /// A recording, unless its metadata has expired.
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
    /// The end of a recording; whoever wants to know is told.
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

/// The call that a recording here is of, unless it says another.
pub(super) fn call_of(recording: &RecordingSid) -> CallSid {
    let sid = format!("CA{}", recording.as_str().trim_start_matches("RE"));
    sid.parse()
        .expect("a recording's digits are a call's digits")
}
