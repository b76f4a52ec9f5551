//! What of a recording is given.
//!
//! Owns the closed set of views, and what is in two of them. Refuses to know who gets which.

use crate::model::artefact::Artefact;

/// What of a recording a grant gives. No other address of the grant works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// The sound as it was recorded, what was said, and who took part.
    #[default]
    Audio,
    /// The sound between two moments, and nothing else.
    Window {
        /// From this second on.
        from_s: u32,
        /// Until before this second; larger than `from_s`.
        to_s: u32,
    },
    /// What was said, and who took part.
    Transcript,
    /// What was said, without what the policy's content rules find in it.
    RedactedTranscript,
}

impl View {
    /// What is in both, if anything is. The sound comes with what was said, so that it holds every
    /// other view.
    pub(in crate::policy) fn meet(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Audio, view) | (view, Self::Audio) => Some(view),
            (Self::Window { from_s: a, to_s: b }, Self::Window { from_s: c, to_s: d }) => {
                let from_s = a.max(c);
                let to_s = b.min(d);
                (from_s < to_s).then_some(Self::Window { from_s, to_s })
            }
            (Self::Window { .. }, _) | (_, Self::Window { .. }) => None,
            (Self::Transcript, Self::Transcript) => Some(Self::Transcript),
            (Self::RedactedTranscript, _) | (_, Self::RedactedTranscript) => {
                Some(Self::RedactedTranscript)
            }
        }
    }

    /// Whether it gives anything of this artefact.
    pub const fn gives(self, artefact: Artefact) -> bool {
        matches!(
            (self, artefact),
            (Self::Audio | Self::Window { .. }, Artefact::Audio)
                | (Self::Audio | Self::Transcript | Self::RedactedTranscript, Artefact::Transcript)
                // Who gets a part of the sound, or a text from which people were taken out, is not
                // told who they are.
                | (Self::Audio | Self::Transcript, Artefact::Parties)
        )
    }

    /// The word used in answers and in the audit log.
    pub fn as_str(self) -> &'static str {
        self.kind().as_str()
    }

    /// Its kind, without the limits of a window.
    pub const fn kind(self) -> ViewKind {
        match self {
            Self::Audio => ViewKind::Audio,
            Self::Window { .. } => ViewKind::Window,
            Self::Transcript => ViewKind::Transcript,
            Self::RedactedTranscript => ViewKind::RedactedTranscript,
        }
    }
}

/// The view of a grant.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "kebab-case")]
#[schema(rename_all = "kebab-case")]
pub enum ViewKind {
    /// The audio, the transcript and the participants.
    Audio,
    /// A part of the audio.
    Window,
    /// The transcript and the participants.
    Transcript,
    /// The transcript without the findings of the policy's content rules.
    RedactedTranscript,
}

crate::word_set!(ViewKind);
