//! Traces of a deleted copy that stay at the source.
//!
//! Owns the one table of the periods that the source states. Refuses to know how copies are deleted.

use std::{collections::BTreeMap, time::Duration};

use super::{
    source::{CopyKind, CopyState, SourceCopy},
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// What stays.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "kebab-case")]
pub enum ResidueKind {
    /// The source's logs of requests and messages.
    Logs,
    /// The source's backups.
    Backups,
    /// Metadata: times, addresses, durations.
    Metadata,
    /// Files of bulk exports.
    BulkExports,
    /// Records older than the source's lists show.
    Archive,
    /// The sentences of a transcript.
    Sentences,
}

crate::word_set!(ResidueKind);

/// How long the source keeps a trace of a deleted copy, as far as it states that.
#[derive(Clone, Copy, Debug)]
struct Period {
    what: ResidueKind,
    /// `None` if the source states no period.
    days: Option<u32>,
    /// Where the source states it.
    #[expect(
        dead_code,
        reason = "each period stands beside the page that states it"
    )]
    stated_at: &'static str,
}

const RECORDING_METADATA: Period = Period {
    what: ResidueKind::Metadata,
    days: Some(40),
    stated_at: "https://www.twilio.com/docs/voice/api/recording",
};
const VIDEO_METADATA: Period = Period {
    what: ResidueKind::Metadata,
    days: Some(30),
    stated_at: "https://www.twilio.com/docs/video/api/recordings-resource",
};
const SENTENCES: Period = Period {
    what: ResidueKind::Sentences,
    days: Some(30),
    stated_at: "https://www.twilio.com/docs/conversational-intelligence/api/transcript-sentence-resource",
};
const MESSAGE_LOGS: Period = Period {
    what: ResidueKind::Logs,
    days: Some(14),
    stated_at: "https://www.twilio.com/docs/api/errors/20009",
};
const MESSAGE_BACKUPS: Period = Period {
    what: ResidueKind::Backups,
    days: Some(30),
    stated_at: "Twilio support: SMS message and traffic storage",
};
const BULK_EXPORTS: Period = Period {
    what: ResidueKind::BulkExports,
    days: Some(7),
    stated_at: "https://www.twilio.com/docs/usage/bulkexport",
};
/// Whether a deletion reaches records that only the archive has is not published.
const ARCHIVE: Period = Period {
    what: ResidueKind::Archive,
    days: None,
    stated_at: "https://www.twilio.com/docs/usage/bulkexport",
};
/// What the source calls personal data of Conversations stays after a deletion.
const CHAT_PERSONAL_DATA: Period = Period {
    what: ResidueKind::Metadata,
    days: Some(30),
    stated_at: "https://www.twilio.com/docs/conversations/api/conversation-message-resource",
};
const UNSTATED_BACKUPS: Period = Period {
    what: ResidueKind::Backups,
    days: None,
    stated_at: "not stated",
};

/// Returns what stays of a deleted copy of this kind.
const fn periods(kind: CopyKind) -> &'static [Period] {
    match kind {
        CopyKind::Recording => &[RECORDING_METADATA, UNSTATED_BACKUPS],
        CopyKind::Track | CopyKind::Composition => &[VIDEO_METADATA, UNSTATED_BACKUPS],
        CopyKind::Transcription
        | CopyKind::AddOn
        | CopyKind::File
        | CopyKind::Participant
        | CopyKind::Interaction
        | CopyKind::Session => &[UNSTATED_BACKUPS],
        CopyKind::Transcript => &[SENTENCES, UNSTATED_BACKUPS],
        CopyKind::Message => &[MESSAGE_LOGS, MESSAGE_BACKUPS, BULK_EXPORTS, ARCHIVE],
        CopyKind::ChatMessage | CopyKind::Chat => &[CHAT_PERSONAL_DATA, UNSTATED_BACKUPS],
        // It is in a bucket that is not the source's.
        CopyKind::Object => &[],
    }
}

/// Returns how long the source states that it keeps this of a deleted copy.
pub fn stated(kind: CopyKind, what: ResidueKind) -> Option<Duration> {
    let period = periods(kind).iter().find(|period| period.what == what)?;
    period.days.map(days)
}

fn days(number: u32) -> Duration {
    Duration::from_secs(u64::from(number) * 24 * 3600)
}

/// A trace that stays after the deletion of copies.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Residue {
    /// The kind of the deleted copies.
    pub copy: CopyKind,
    /// What stays.
    pub what: ResidueKind,
    /// When it is gone at the latest, by the source's own statement; null if the source states no
    /// period.
    pub until: Option<Timestamp>,
}

/// Returns what stays of the copies whose deletion the source confirmed, with the latest date of
/// each kind.
pub fn residue_of(copies: &[SourceCopy]) -> Vec<Residue> {
    let mut latest = BTreeMap::new();
    for copy in copies {
        let gone_at = copy.deleted_at.or(copy.confirmed_at);
        let (CopyState::Confirmed, Some(gone_at)) = (copy.state, gone_at) else {
            continue;
        };
        for period in periods(copy.kind) {
            let until = period.days.map(|number| gone_at.after(days(number)));
            let known = latest.entry((copy.kind, period.what)).or_insert(until);
            *known = (*known).max(until);
        }
    }
    latest
        .into_iter()
        .map(|((copy, what), until)| Residue { copy, what, until })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_went() {
        crate::samples::words_are::<ResidueKind>(
            "logs backups metadata bulk-exports archive sentences",
        );
        crate::samples::json_has_the_words::<ResidueKind>();
    }

    fn deleted(kind: CopyKind, day: u32) -> SourceCopy {
        let at = Timestamp::from_millis(0).after(days(day));
        SourceCopy {
            state: CopyState::Confirmed,
            deleted_at: Some(at),
            confirmed_at: Some(at.after(days(90))),
            ..SourceCopy::found(kind, format!("{kind}{day}"), Timestamp::from_millis(0))
        }
    }

    #[test]
    fn the_last_deletion_of_a_kind_counts_and_an_unknown_date_stays_unknown() {
        let day = |number| Some(Timestamp::from_millis(0).after(days(number)));
        let there = SourceCopy::found(CopyKind::Recording, "RE", Timestamp::from_millis(0));
        let copies = [
            deleted(CopyKind::Message, 1),
            deleted(CopyKind::Message, 3),
            deleted(CopyKind::Message, 2),
            deleted(CopyKind::File, 5),
            deleted(CopyKind::Object, 5),
            there,
        ];
        let found: Vec<_> = residue_of(&copies)
            .into_iter()
            .map(|left| (left.copy, left.what, left.until))
            .collect();
        assert_eq!(
            found,
            [
                (CopyKind::Message, ResidueKind::Logs, day(17)),
                (CopyKind::Message, ResidueKind::Backups, day(33)),
                (CopyKind::Message, ResidueKind::BulkExports, day(10)),
                (CopyKind::Message, ResidueKind::Archive, None),
                (CopyKind::File, ResidueKind::Backups, None),
            ]
        );
    }

    #[test]
    fn every_kind_but_one_that_is_not_at_the_source_leaves_something() {
        for kind in CopyKind::ALL.iter().copied() {
            let whats: Vec<ResidueKind> = periods(kind).iter().map(|period| period.what).collect();
            let mut once = whats.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), whats.len(), "{kind}: each is stated once");
            assert_eq!(whats.is_empty(), kind == CopyKind::Object, "{kind}");
        }
        assert_eq!(
            stated(CopyKind::Recording, ResidueKind::Metadata),
            Some(days(40))
        );
        assert_eq!(stated(CopyKind::Message, ResidueKind::Archive), None);
    }
}
