//! Behaviour that Twilio does not document, or documents for some accounts only: each a setting, so
//! that a test can have both variants.

use std::{collections::BTreeSet, time::Duration};

use crate::model::sid::AccountSid;

/// An error of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwilioProblem {
    /// HTTP status.
    pub status: u16,
    /// Twilio's error code.
    pub code: u32,
}

/// The redirect of media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRedirect {
    /// 302 or 307.
    pub status: u16,
}

/// The limit on requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of requests...
    pub requests: u32,
    /// ...within this time, by the stand-in's clock. Further ones get 429.
    pub per: Duration,
    /// Seconds in `Retry-After`; Twilio documents none.
    pub retry_after: Option<u64>,
}

/// The form of a list that never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// Its second page links to itself.
    Circle,
    /// There is always another page, without items.
    Empty,
}

/// All settings; [`Default`] is the documented or likely behaviour.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The answer to the deletion of a recording that is not completed. Twilio documents only that
    /// it is refused.
    pub undeletable: TwilioProblem,
    /// Whether a recording that is `absent` can be deleted as well. The page names only
    /// `completed`.
    pub absent_can_be_deleted: bool,
    /// Whether the deletion of a recording deletes its transcriptions. Not documented.
    pub deletion_takes_transcriptions: bool,
    /// Whether the deletion of a recording deletes its add-on results. Not documented.
    pub deletion_takes_add_ons: bool,
    /// Whether the metadata of a deleted recording is shown without `IncludeSoftDeleted`. Not
    /// documented; 404 is likely.
    pub deleted_is_shown: bool,
    /// Whether the second deletion of a recording is 204 as the first. Not documented; 404 is
    /// likely.
    pub second_deletion_is_fine: bool,
    /// Whether the subresources of a deleted recording are still listed under it. Not documented.
    pub deleted_lists_subresources: bool,
    /// The time for which the metadata of a deleted recording is kept.
    pub metadata_kept: Duration,
    /// The answer to a change of a recording that no longer runs.
    pub unchangeable: TwilioProblem,
    /// Whether a stopped recording is completed at once, instead of when the test completes it.
    pub stop_completes: bool,
    /// Whether a completed conference still lists its participants. Twilio lists them only during
    /// the conference.
    pub ended_conference_lists_participants: bool,
    /// Whether media is served without a credential, as in old accounts.
    pub media_is_open: bool,
    /// Whether media comes from another host, which refuses an `Authorization` header. Not
    /// documented for voice.
    pub media_redirect: Option<MediaRedirect>,
    /// The time after the completion of a recording for which its media is not available yet.
    pub media_delay: Duration,
    /// Whether media comes without a `Content-Length`. Not documented.
    pub media_without_length: bool,
    /// Whether an API key gives access to the Accounts resource: a main key does, a standard key
    /// does not.
    pub key_opens_accounts: bool,
    /// Limits all requests.
    pub rate_limit: Option<RateLimit>,
    /// The origin of absolute links in the Intelligence interface; without it, that of the request.
    pub intelligence_links: Option<String>,
    /// The Intelligence service (`GA…`) that transcribes every completed recording at once, as
    /// `auto_transcribe` does.
    pub auto_transcribe: Option<String>,
    /// The percentage of nullable fields that are `null`, chosen at random. Ids of the shown items
    /// are never `null`.
    pub null_per_cent: u8,
    /// The answer to the deletion or redaction of a message that is not complete.
    pub message_undeletable: TwilioProblem,
    /// The time after its receipt for which a message is not complete.
    pub message_completes: Duration,
    /// The time after its receipt for which the files of a message are neither listed nor found.
    pub message_media_delay: Duration,
    /// The time for which messages are shown: 400 days, or less by the account's setting.
    pub messages_shown: Duration,
    /// Whether Message Redaction hides the text of every message: the webhook is the only copy.
    pub message_texts_are_redacted: bool,
    /// Whether Message Redaction hides the last four digits of every number.
    pub message_numbers_are_redacted: bool,
    /// Numbers that opted out: a message to one of them is refused with 21610.
    pub opted_out: BTreeSet<String>,
    /// Whether the refusal comes only after the message was taken, as its status.
    pub opt_out_is_found_late: bool,
    /// An account whose lists of the older interface never end.
    pub endless: Option<(AccountSid, Endless)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            undeletable: TwilioProblem {
                status: 400,
                code: 20009,
            },
            absent_can_be_deleted: false,
            deletion_takes_transcriptions: false,
            deletion_takes_add_ons: false,
            deleted_is_shown: false,
            second_deletion_is_fine: false,
            deleted_lists_subresources: false,
            metadata_kept: Duration::from_hours(40 * 24),
            unchangeable: TwilioProblem {
                status: 400,
                code: 21220,
            },
            stop_completes: false,
            ended_conference_lists_participants: false,
            media_is_open: false,
            media_redirect: None,
            media_delay: Duration::ZERO,
            media_without_length: false,
            key_opens_accounts: true,
            rate_limit: None,
            intelligence_links: None,
            auto_transcribe: None,
            null_per_cent: 0,
            message_undeletable: TwilioProblem {
                status: 409,
                code: 20009,
            },
            message_completes: Duration::from_secs(60),
            message_media_delay: Duration::ZERO,
            messages_shown: Duration::from_hours(400 * 24),
            message_texts_are_redacted: false,
            message_numbers_are_redacted: false,
            opted_out: BTreeSet::new(),
            opt_out_is_found_late: false,
            endless: None,
        }
    }
}
