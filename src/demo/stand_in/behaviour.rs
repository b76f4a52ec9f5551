//! What Twilio does not say, or says of some accounts only: each a setting, so that a test can have
//! both.

use std::time::Duration;

use crate::model::sid::AccountSid;

/// An error as the interface gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwilioProblem {
    /// HTTP status.
    pub status: u16,
    /// Twilio's code.
    pub code: u32,
}

/// How media leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRedirect {
    /// 302 or 307.
    pub status: u16,
}

/// How many requests are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// So many requests...
    pub requests: u32,
    /// ...within this time, by the stand-in's clock. The others get 429.
    pub per: Duration,
    /// Seconds in `Retry-After`; Twilio documents none.
    pub retry_after: Option<u64>,
}

/// How a list never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// Its second page leads to itself.
    Circle,
    /// There is always another page, with nothing on it.
    Empty,
}

/// Every setting; [`Default`] is what is documented or likely.
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
    /// How long the metadata of a deleted recording is kept.
    pub metadata_kept: Duration,
    /// The answer when a recording is to be changed that runs no more.
    pub unchangeable: TwilioProblem,
    /// Whether a recording that is stopped is completed at once, instead of when the test says so.
    pub stop_completes: bool,
    /// Whether a completed conference still lists its participants. Twilio lists them only while it
    /// lasts.
    pub ended_conference_lists_participants: bool,
    /// Whether media is given to whoever asks without a credential, as old accounts had it.
    pub media_is_open: bool,
    /// Whether media comes from another host, which refuses an `Authorization` header. Not
    /// documented of voice.
    pub media_redirect: Option<MediaRedirect>,
    /// How long after a recording is completed its media is still not there.
    pub media_delay: Duration,
    /// Whether media comes without a `Content-Length`. Not documented.
    pub media_without_length: bool,
    /// Whether an API key opens the Accounts resource: a main key does, a standard key does not.
    pub key_opens_accounts: bool,
    /// Limits all requests.
    pub rate_limit: Option<RateLimit>,
    /// What the absolute links of the Intelligence interface begin with; without it, the address
    /// that was asked.
    pub intelligence_links: Option<String>,
    /// Whether every recording that is completed is transcribed at once by this Intelligence
    /// service (`GA…`), as `auto_transcribe` does.
    pub auto_transcribe: Option<String>,
    /// In so many of a hundred fields that the schemas let be `null`, `null` it is: now this one,
    /// now that one. Ids of what is shown are spared.
    pub null_per_cent: u8,
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
            endless: None,
        }
    }
}
