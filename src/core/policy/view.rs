//! Views: the parts of a recording that a grant gives.
//!
//! Owns the closed set of views, and the intersection of two. Refuses to know which principal gets
//! which.

use crate::model::artefact::Artefact;

/// The view of a grant. No URL for another part works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// The audio as recorded, the transcript, and the participants.
    #[default]
    Audio,
    /// The audio between two moments, and nothing else.
    Window {
        /// The first second.
        from_s: u32,
        /// The second before which it ends; larger than `from_s`.
        to_s: u32,
    },
    /// The transcript, and the participants.
    Transcript,
    /// The transcript, without the findings of the policy's content rules.
    RedactedTranscript,
}

impl View {
    /// Returns the intersection, if there is one. The audio comes with transcript and participants,
    /// so it contains every other view.
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

    /// Returns whether it gives any part of this artefact.
    pub const fn gives(self, artefact: Artefact) -> bool {
        matches!(
            (self, artefact),
            (Self::Audio | Self::Window { .. }, Artefact::Audio)
                | (
                    Self::Audio,
                    Artefact::Form | Artefact::EditedForm(_) | Artefact::Media(_)
                )
                | (
                    Self::Audio | Self::Transcript | Self::RedactedTranscript,
                    Artefact::Transcript | Artefact::EditedText(_)
                )
                // Views of a part of the audio, or of a redacted text, do not disclose the
                // participants.
                | (Self::Audio | Self::Transcript, Artefact::Parties)
        )
    }

    /// Returns the word used in responses and in the audit log.
    pub fn as_str(self) -> &'static str {
        self.kind().as_str()
    }

    /// Returns its kind, without the limits of a window.
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
