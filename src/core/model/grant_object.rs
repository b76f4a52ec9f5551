//! What a grant opens, and what counts as one opening: a recording, or a conversation as a whole.

use std::{fmt, str::FromStr};

use super::{
    id::RecordingId,
    subject::{Conversation, UnknownConversation},
};

/// A recording or a conversation. As text: its id.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
)]
pub enum GrantObject {
    /// One recording.
    Recording(RecordingId),
    /// Everything that was written in a conversation, as far as the policy allows each message.
    Conversation(Conversation),
}

impl GrantObject {
    /// Returns the recording, if it is one.
    pub fn recording(&self) -> Option<RecordingId> {
        match self {
            Self::Recording(id) => Some(*id),
            Self::Conversation(_) => None,
        }
    }

    /// Returns the conversation, if it is one.
    pub fn conversation(&self) -> Option<&Conversation> {
        match self {
            Self::Recording(_) => None,
            Self::Conversation(conversation) => Some(conversation),
        }
    }
}

impl From<RecordingId> for GrantObject {
    fn from(id: RecordingId) -> Self {
        Self::Recording(id)
    }
}

impl From<Conversation> for GrantObject {
    fn from(conversation: Conversation) -> Self {
        Self::Conversation(conversation)
    }
}

/// The text is neither a recording nor a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a recording's id (`rec_…`), or that of a conversation")]
pub struct UnknownGrantObject;

impl fmt::Display for GrantObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recording(id) => id.fmt(f),
            Self::Conversation(conversation) => conversation.fmt(f),
        }
    }
}

impl FromStr for GrantObject {
    type Err = UnknownGrantObject;

    fn from_str(text: &str) -> Result<Self, UnknownGrantObject> {
        let recording = text.parse().map(Self::Recording);
        recording.or_else(|_| {
            let conversation = text.parse().map(Self::Conversation);
            conversation.map_err(|_: UnknownConversation| UnknownGrantObject)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_went() {
        let recording = GrantObject::from(RecordingId::random(&mut rand::rng()));
        assert_eq!(recording.to_string().parse(), Ok(recording.clone()));
        assert!(recording.recording().is_some() && recording.conversation().is_none());
        let zeros = "0".repeat(32);
        for text in
            ["CA", "CF", "CH", "RM", "KC", "thr_"].map(|letters| format!("{letters}{zeros}"))
        {
            let object: GrantObject = text.parse().unwrap();
            assert_eq!(object.to_string(), text);
            assert!(object.recording().is_none() && object.conversation().is_some());
        }
        for bad in ["", "rec_", "thr_", "grt_00000000000000000000000000000000"] {
            assert_eq!(bad.parse::<GrantObject>(), Err(UnknownGrantObject), "{bad}");
        }
    }
}
