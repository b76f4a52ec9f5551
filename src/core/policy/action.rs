//! Actions that need a permit: a closed set, each a word and a type.
//!
//! Owns the words in the policy file and in the audit log, and the marker types of [`Permit`].
//! Refuses to know who has which permission.
//!
//! INVARIANT: nothing but the markers here implements [`PermitAction`], and each stands for one
//! word.
//!
//! [`Permit`]: super::Permit

use std::fmt;

/// An action other than playback that requires permission.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Action {
    /// List recordings and read their catalogue data.
    Catalogue,
    /// Shred recordings.
    Shred,
    /// Read the audit log.
    Audit,
    /// Name the parties of conversations, record and read statements of consent.
    Consent,
    /// Revoke: by subject, recording or account.
    Revoke,
    /// Place, list and lift holds.
    Hold,
    /// Correct catalogue data of a recording.
    Correct,
    /// Store transcripts.
    Transcribe,
    /// Export the data about one person.
    Export,
    /// Turn epochs, renew and move keys. For the operator on the machine only; no role of a policy
    /// grants it.
    Keys,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 10] = [
        Self::Catalogue,
        Self::Shred,
        Self::Audit,
        Self::Consent,
        Self::Revoke,
        Self::Hold,
        Self::Correct,
        Self::Transcribe,
        Self::Export,
        Self::Keys,
    ];

    /// The word used in the policy file and in the audit log.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

mod sealed {
    pub trait Sealed {}
}

/// An action as a type, so that a function can require the permit for it and for no other.
pub trait PermitAction: sealed::Sealed + Copy + fmt::Debug + Send + Sync + 'static {
    /// The action that this type stands for.
    const ACTION: Action;
}

/// Declares the marker type of each action.
macro_rules! markers {
    ($($marker:ident),+ $(,)?) => {$(
        #[doc = concat!("Stands for [`Action::", stringify!($marker), "`].")]
        #[derive(Clone, Copy, Debug)]
        pub struct $marker;

        impl sealed::Sealed for $marker {}

        impl PermitAction for $marker {
            const ACTION: Action = Action::$marker;
        }
    )+};
}

markers!(
    Catalogue, Shred, Audit, Consent, Revoke, Hold, Correct, Transcribe, Export, Keys
);
