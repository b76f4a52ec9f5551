//! The source's name of a transcript.

use super::sid::{TranscriptSid, TranscriptionSid};

/// The product that made a transcript, and its id.
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
    /// Made by Conversational Intelligence after the call.
    Intelligence(TranscriptSid),
    /// Made by `<Record transcribe>`.
    Record(TranscriptionSid),
    /// Made in real time during the call. Its id may equal that of a transcript of Conversational
    /// Intelligence.
    RealTime(TranscriptSid),
}

impl Origin {
    /// Returns the kind as used in rows, logs and metrics.
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

    /// Parses kind and id.
    pub fn parse(kind: &str, sid: &str) -> Option<Self> {
        match kind.parse().ok()? {
            OriginKind::Intelligence => sid.parse().ok().map(Self::Intelligence),
            OriginKind::Record => sid.parse().ok().map(Self::Record),
            OriginKind::RealTime => sid.parse().ok().map(Self::RealTime),
        }
    }

    /// Returns the quality rank of this kind: a transcript with channels and words ranks above one
    /// without, and a real-time transcript ranks lowest.
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
