//! A transcript as its source names it.

use super::sid::{TranscriptSid, TranscriptionSid};

/// What the source made, and how.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::IntoStaticStr,
    strum::EnumDiscriminants,
)]
#[strum(serialize_all = "kebab-case")]
#[strum_discriminants(name(OriginKind), vis(), derive(strum::EnumString))]
#[strum_discriminants(strum(serialize_all = "kebab-case"))]
pub enum Origin {
    /// Conversational Intelligence wrote it down afterwards.
    Intelligence(TranscriptSid),
    /// `<Record transcribe>` did.
    Record(TranscriptionSid),
    /// It was written down while the call went on. Its id may be that of a transcript of
    /// Intelligence as well.
    RealTime(TranscriptSid),
}

impl Origin {
    /// The word in rows, logs and metrics.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// The source's id.
    pub fn sid(&self) -> &str {
        match self {
            Self::Intelligence(sid) | Self::RealTime(sid) => sid.as_str(),
            Self::Record(sid) => sid.as_str(),
        }
    }

    /// Reads kind and id.
    pub fn parse(kind: &str, sid: &str) -> Option<Self> {
        match kind.parse().ok()? {
            OriginKind::Intelligence => sid.parse().ok().map(Self::Intelligence),
            OriginKind::Record => sid.parse().ok().map(Self::Record),
            OriginKind::RealTime => sid.parse().ok().map(Self::RealTime),
        }
    }

    /// How good a transcript of this kind is: one that knows channels and words is better than one
    /// that does not, and one that was made in haste is the worst.
    pub const fn rank(&self) -> u8 {
        match self {
            Self::Intelligence(_) => 3,
            Self::Record(_) => 2,
            Self::RealTime(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_id_come_back() {
        let (gt, tr) = ["GT", "TR"]
            .map(|prefix| format!("{prefix}{}", "0".repeat(32)))
            .into();
        for (kind, sid) in [("intelligence", &gt), ("real-time", &gt), ("record", &tr)] {
            let origin = Origin::parse(kind, sid).unwrap();
            assert_eq!((origin.kind(), origin.sid()), (kind, sid.as_str()));
        }
        for (kind, sid) in [("intelligence", &tr), ("record", &gt), ("transcript", &gt)] {
            assert_eq!(Origin::parse(kind, sid), None);
        }
    }
}
