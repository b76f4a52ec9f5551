//! The media that an incoming message announces.
//!
//! Owns the numbered parameters. Refuses to fetch: requests are built from ids, and the address is
//! kept only as the source's own word.

use reqwest::Url;

use crate::{
    model::sid::{AccountSid, MediaSid},
    twilio::{params::VerifiedParams, personal::PersonalText},
};

/// The most media that are read of one message; Twilio sends at most ten.
const MOST: usize = 32;

/// One announced file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageMedia {
    /// Its id, from the address; `None` if the address is not one of this account's media.
    pub sid: Option<MediaSid>,
    /// The address as sent. Whoever knows it may be able to fetch the file in old accounts, so it is
    /// not printed.
    pub url: PersonalText,
    /// The type as sent; empty if there is none.
    pub content_type: String,
}

impl MessageMedia {
    /// Reads `MediaUrl0`, `MediaContentType0` and so on, up to the first gap.
    pub(super) fn all(params: &VerifiedParams<'_>, account: &AccountSid) -> Vec<Self> {
        let read = |number| {
            let url = params.numbered("MediaUrl", number)?;
            let content_type = params.numbered("MediaContentType", number);
            Some(Self {
                sid: sid(url, account),
                url: url.into(),
                content_type: content_type.unwrap_or_default().chars().take(128).collect(),
            })
        };
        (0..MOST).map_while(read).collect()
    }
}

/// Returns the id in `…/Accounts/{AC}/Messages/{SM}/Media/{ME}`.
fn sid(url: &str, account: &AccountSid) -> Option<MediaSid> {
    let url = Url::parse(url).ok()?;
    let parts: Vec<&str> = url.path_segments()?.collect();
    match parts.as_slice() {
        [.., "Accounts", of, "Messages", _, "Media", sid] if *of == account.as_str() => {
            sid.parse().ok()
        }
        _ => None,
    }
}
