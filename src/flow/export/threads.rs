//! Threads as texts for people: what was written in a conversation, in its order, with a line for
//! each message that is left out.
//!
//! Owns that text. Its messages were opened for the archive already, so this is no opening.
//! INVARIANT: no more than a part of a thread is held in memory.

use std::{collections::VecDeque, sync::Arc};

use serde_json::Value;

use super::{Exports, Plan, tar::TarSink};
use crate::{
    flow::streams::{Ended, Registered},
    model::{id::RecordingId, name::LegName, subject::Conversation, time::Timestamp},
    secret::SecretBuffer,
};

/// Bytes of text after which a thread continues in another file.
const PART: usize = 1024 * 1024;

/// The place of a message in its conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written {
    /// The conversation.
    pub(super) conversation: Conversation,
    /// When it was written.
    pub(super) at: Timestamp,
    /// Who wrote it, by their place.
    pub(super) author: Option<LegName>,
}

/// A thread that is being put together.
pub(super) struct ThreadText {
    conversation: Conversation,
    part: u32,
    text: SecretBuffer,
    /// The streams of the messages in the text, with the ends of their grants.
    streams: Vec<(Arc<Registered>, Timestamp)>,
    /// Messages that are left out and not mentioned yet, in their order.
    left_out: VecDeque<(Timestamp, String)>,
}

impl ThreadText {
    /// Begins the text of a conversation.
    pub(super) fn begin(plan: &Plan, conversation: &Conversation) -> Self {
        let mut left_out: Vec<(Timestamp, String)> = plan
            .left_out
            .iter()
            .filter_map(|left_out| {
                let written = left_out.written.as_ref()?;
                let codes: Vec<&str> = left_out.reasons.iter().map(|why| why.code).collect();
                let line = format!(
                    "{}: {}, left out: {}\n\n",
                    head(written, left_out.recording_id),
                    left_out.kind,
                    codes.join(", ")
                );
                (written.conversation == *conversation).then_some((written.at, line))
            })
            .collect();
        left_out.sort();
        Self {
            conversation: conversation.clone(),
            part: 1,
            text: SecretBuffer::default(),
            streams: Vec::new(),
            left_out: left_out.into(),
        }
    }

    /// Whether it is the text of this conversation.
    pub(super) fn is_of(&self, conversation: Option<&Conversation>) -> bool {
        conversation == Some(&self.conversation)
    }

    /// Adds a message: its transcript as it is written to the archive, the stream under which it was
    /// opened, and the end of its grant.
    pub(super) fn add(
        &mut self,
        written: &Written,
        id: RecordingId,
        transcript: &[u8],
        stream: (Arc<Registered>, Timestamp),
    ) {
        self.mention_until(Some(written.at));
        let transcript: Value = serde_json::from_slice(transcript).unwrap_or_default();
        let line = format!("{}:\n", head(written, id));
        self.text.extend_from_slice(line.as_bytes());
        let sentences = transcript["sentences"].as_array();
        for sentence in sentences.into_iter().flatten() {
            for line in sentence["text"].as_str().unwrap_or_default().lines() {
                self.text.extend_from_slice(b"    ");
                self.text.extend_from_slice(line.as_bytes());
                self.text.push(b'\n');
            }
        }
        let redacted = transcript["redacted"].as_array();
        let kinds: Vec<&str> = redacted
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !kinds.is_empty() {
            let note = format!("    (redacted on this copy: {})\n", kinds.join(", "));
            self.text.extend_from_slice(note.as_bytes());
        }
        self.text.push(b'\n');
        self.streams.push(stream);
    }

    /// Writes the part that is complete, if it is.
    pub(super) async fn write_full(
        &mut self,
        exports: &Exports,
        out: &mut TarSink,
    ) -> Result<(), Ended> {
        if self.text.len() < PART {
            return Ok(());
        }
        self.write(exports, out).await
    }

    /// Writes the rest.
    pub(super) async fn end(mut self, exports: &Exports, out: &mut TarSink) -> Result<(), Ended> {
        self.mention_until(None);
        if self.text.is_empty() {
            return Ok(());
        }
        self.write(exports, out).await
    }

    async fn write(&mut self, exports: &Exports, out: &mut TarSink) -> Result<(), Ended> {
        for (stream, ends) in self.streams.drain(..) {
            out.under(stream, exports.clock.clone(), ends);
        }
        let part = match self.part {
            1 => String::new(),
            part => format!(".{part}"),
        };
        let path = format!("threads/{}{part}.txt", self.conversation);
        self.part += 1;
        out.whole(&path, self.text.to_vec()).await?;
        self.text.clear();
        Ok(())
    }

    /// Mentions the messages that are left out and were written before a time; all without one.
    fn mention_until(&mut self, until: Option<Timestamp>) {
        let is_before = |at: Timestamp| until.is_none_or(|until| at < until);
        while let Some((_, line)) = self.left_out.pop_front_if(|(at, _)| is_before(*at)) {
            self.text.extend_from_slice(line.as_bytes());
        }
    }
}

fn head(written: &Written, id: RecordingId) -> String {
    let author = written.author.as_ref().map_or("everybody", LegName::as_str);
    format!("{} {author} ({id})", written.at)
}
