//! The speakers of a transcript, by channel or by side of a call.

use std::collections::BTreeMap;

use super::source::TranscriptSource;
use crate::{
    flow::{error::Error, ingest::parties::legs_by_channel},
    model::{name::LegName, recording::Recording},
    twilio::transcription::Track,
};

/// The legs of a conversation, by channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Legs {
    by_channel: BTreeMap<u8, LegName>,
    /// Whether all of them are on one channel, which then does not identify the speaker.
    is_mixed: bool,
}

impl Legs {
    /// Returns the leg on a channel; named after the channel if the leg is unknown.
    pub(super) fn on_channel(&self, channel: u8) -> LegName {
        let told = self.by_channel.get(&channel).filter(|_| !self.is_mixed);
        told.cloned()
            .unwrap_or_else(|| named(&format!("channel-{channel}")))
    }

    /// Returns the known leg on the only channel.
    pub(super) fn alone(&self) -> Option<LegName> {
        self.by_channel.get(&1).filter(|_| !self.is_mixed).cloned()
    }

    /// Returns the leg on a side of the call. A recording with two channels has the call's own
    /// party on the first, and what is played to them on the second, so the sides are its channels.
    /// An unknown leg is named as in an incoming call.
    pub(super) fn on_track(&self, track: Track) -> LegName {
        let (channel, place) = match track {
            Track::Inbound => (1, "caller"),
            Track::Outbound => (2, "callee"),
        };
        self.by_channel
            .get(&channel)
            .cloned()
            .unwrap_or_else(|| named(place))
    }
}

fn named(text: &str) -> LegName {
    text.parse()
        .expect("lower-case letters, digits and `-`, and a letter first")
}

impl TranscriptSource {
    /// Returns the leg on each channel of a recording.
    pub(super) async fn legs(&self, recording: &Recording) -> Result<Legs, Error> {
        let by_channel = legs_by_channel(&self.db, recording).await?;
        let is_mixed = recording.channels == Some(1) && by_channel.len() > 1;
        Ok(Legs {
            by_channel,
            is_mixed,
        })
    }
}
