//! A transcript as its source names it.

use super::sid::{TranscriptSid, TranscriptionSid};

/// What the source made, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Intelligence(_) => "intelligence",
            Self::Record(_) => "record",
            Self::RealTime(_) => "real-time",
        }
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
        match kind {
            "intelligence" => sid.parse().ok().map(Self::Intelligence),
            "record" => sid.parse().ok().map(Self::Record),
            "real-time" => sid.parse().ok().map(Self::RealTime),
            _ => None,
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
