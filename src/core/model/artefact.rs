//! The sealed parts of a recording and their side: artefacts and legs.
//!
//! Owns their names in keys, rows and associated data. INVARIANT: a name never changes. Content
//! that was sealed as one artefact of one leg opens as nothing else.

use std::{borrow::Cow, fmt, str::FromStr};

use super::word::{UnknownWord, unknown};

/// One sealed part of a recording. (Waveforms are added here when they are built.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Artefact {
    /// The audio: WAV as the source delivered it.
    Audio,
    /// The transcript, or the text of a message, in the vault's own format.
    Transcript,
    /// The participants, with address and name. Not an object in the store: the database stores
    /// them (`details`).
    Parties,
    /// A message as the source delivered it: every field, its text and its addresses among them.
    Form,
    /// A file as the source delivered it: a picture of a message, a track or a composition. A
    /// recording may have several; they are numbered from 0, in the source's order.
    Media(u8),
    /// The text of a message after an edit, by the time of the edit in milliseconds UTC.
    EditedText(u64),
    /// The message as the source delivered it after that edit.
    EditedForm(u64),
}

/// The prefix of a file's name; its number follows.
const MEDIA: &str = "media/";
/// The prefixes of what an edit left; its time follows.
const TEXT: &str = "transcript/";
const FORM: &str = "form/";

impl Artefact {
    /// Returns the name used in keys, rows, associated data and URLs.
    pub fn word(self) -> Cow<'static, str> {
        match self {
            Self::Audio => "audio".into(),
            Self::Transcript => "transcript".into(),
            Self::Parties => "parties".into(),
            Self::Form => "form".into(),
            Self::Media(number) => format!("{MEDIA}{number}").into(),
            Self::EditedText(at) => format!("{TEXT}{at}").into(),
            Self::EditedForm(at) => format!("{FORM}{at}").into(),
        }
    }

    /// Returns whether it is a text, which may have to be redacted.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Transcript | Self::EditedText(_))
    }

    /// Returns the artefact that holds the message's state after an edit at this time, in place of
    /// its first state; itself for anything but text and form.
    #[must_use]
    pub const fn after_edit(self, at: u64) -> Self {
        match self {
            Self::Transcript => Self::EditedText(at),
            Self::Form => Self::EditedForm(at),
            other => other,
        }
    }

    /// Returns the time of the edit that left it; `None` for the first state of a message, and for
    /// anything else.
    pub const fn edited_at(self) -> Option<u64> {
        match self {
            Self::EditedText(at) | Self::EditedForm(at) => Some(at),
            _ => None,
        }
    }

    /// Returns the latest state of this artefact, among those that are there.
    pub fn latest(self, there: impl IntoIterator<Item = Self>) -> Option<Self> {
        let is_a_state = |other: &Self| {
            *other == self
                || other
                    .edited_at()
                    .is_some_and(|at| self.after_edit(at) == *other)
        };
        there
            .into_iter()
            .filter(is_a_state)
            .max_by_key(|state| state.edited_at())
    }
}

impl fmt::Display for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word())
    }
}

/// The text is not an artefact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an artefact: expected `audio`, `transcript`, `parties`, `form`, `media/0` to `media/255`, or `transcript/` or `form/` and the milliseconds of an edit"
)]
pub struct UnknownArtefact;

impl FromStr for Artefact {
    type Err = UnknownArtefact;

    fn from_str(text: &str) -> Result<Self, UnknownArtefact> {
        let artefact = match text {
            "audio" => Self::Audio,
            "transcript" => Self::Transcript,
            "parties" => Self::Parties,
            "form" => Self::Form,
            _ => {
                let number = |prefix| text.strip_prefix(prefix);
                let artefact = number(MEDIA)
                    .map(|number| number.parse().map(Self::Media))
                    .or_else(|| number(TEXT).map(|at| at.parse().map(Self::EditedText)))
                    .or_else(|| number(FORM).map(|at| at.parse().map(Self::EditedForm)));
                let artefact = artefact.ok_or(UnknownArtefact)?;
                artefact.map_err(|_| UnknownArtefact)?
            }
        };

        // One spelling each: the parser accepts `media/+1` and `media/01`, which are not names.
        if artefact.word() == text {
            Ok(artefact)
        } else {
            Err(UnknownArtefact)
        }
    }
}

/// One participant's side of a recording, which may have a record key of its own. At present every
/// recording has the one leg `all`; sides get keys of their own when a part of a call can be
/// shredded by itself.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum Leg {
    /// All sides together. Its key also seals the data of the recording as a whole: participants,
    /// transcript, and justifications of requests for it.
    All,
    /// The side that called, or that wrote first.
    Caller,
    /// The side that was called, or that was written to.
    Callee,
}

crate::word_set!(Leg);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_artefact_comes_back_as_it_went(number: u8, at: u64) {
            for artefact in [
                Artefact::Audio, Artefact::Transcript, Artefact::Parties, Artefact::Form, Artefact::Media(number),
                Artefact::EditedText(at), Artefact::EditedForm(at),
            ] {
                prop_assert_eq!(artefact.to_string().parse(), Ok(artefact));
            }
        }

        #[test]
        fn a_word_has_one_spelling(text in "(audio|transcript|parties|media|media/|(media|transcript|form)/[0+ -]?[0-9]{1,4}|.{0,12})") {
            if let Ok(artefact) = text.parse::<Artefact>() {
                prop_assert_eq!(artefact.to_string(), text.clone());
            }
            if let Ok(leg) = text.parse::<Leg>() {
                prop_assert_eq!(leg.to_string(), text);
            }
        }
    }

    #[test]
    fn the_latest_state_is_the_last_edit() {
        let first = [Artefact::Form, Artefact::Media(0), Artefact::Transcript];
        assert_eq!(
            Artefact::Transcript.latest(first),
            Some(Artefact::Transcript)
        );
        let edits = [9, 10].map(Artefact::EditedText);
        let all = first
            .into_iter()
            .chain(edits)
            .chain([Artefact::EditedForm(11)]);
        assert_eq!(
            Artefact::Transcript.latest(all.clone()),
            Some(Artefact::EditedText(10))
        );
        assert_eq!(
            Artefact::Form.latest(all.clone()),
            Some(Artefact::EditedForm(11))
        );
        assert_eq!(Artefact::Media(0).latest(all), Some(Artefact::Media(0)));
        assert_eq!(Artefact::Transcript.latest([Artefact::Form]), None);
    }

    #[test]
    fn files_are_counted_from_0_to_255() {
        assert_eq!("media/0".parse(), Ok(Artefact::Media(0)));
        assert_eq!("media/255".parse(), Ok(Artefact::Media(255)));
        for bad in [
            "media",
            "media/",
            "media/256",
            "media/-1",
            "media/+1",
            "media/01",
            "media/1/",
            "Media/1",
        ] {
            assert_eq!(bad.parse::<Artefact>(), Err(UnknownArtefact), "{bad}");
        }
    }

    #[test]
    fn a_leg_comes_back_as_it_went_in_rows_and_in_json() {
        crate::samples::words_are::<Leg>("all caller callee");
        for leg in Leg::ALL {
            assert_eq!(serde_json::to_value(leg).unwrap(), leg.as_str());
        }
    }
}
