//! Twilio's lists of recordings, messages, tracks and compositions, page by page, with retries.
//!
//! Owns the reaction to a failed page: wait as long as Twilio asks for, retry, or begin the list
//! again if its page token has expired. INVARIANT: each item is returned once, and only if it
//! is within the window.

use std::{collections::HashSet, time::Duration};

use rand::RngExt as _;
use serde::de::DeserializeOwned;

use crate::{
    flow::retry::doubled,
    model::{sid::AccountSid, time::Timestamp},
    twilio::{
        Account, RestError, TwilioClient,
        rest::{Listing, MessageListing, MessageResource, Pages, RecordingResource},
        video::{Composition, TrackRecording},
    },
};

/// Recordings in a page.
const PAGE: u16 = 500;
/// How often a list may be begun again.
const AGAIN: u32 = 3;
/// Requests before a transient failure is final.
const STUMBLES: u32 = 4;
/// Requests before throttling is final.
const REFUSALS: u32 = 8;
/// Doubled with each retry.
const FIRST_PAUSE: Duration = Duration::from_millis(125);
/// A longer pause is not waited for: the next comparison begins before it is over, or soon after.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The time window of a list.
#[derive(Clone, Copy, Debug)]
pub(in crate::flow) struct ListWindow {
    /// Created at or after this time.
    pub(in crate::flow) since: Timestamp,
    /// Created before this time.
    pub(in crate::flow) until: Option<Timestamp>,
    /// Whether recordings that were deleted in the last 40 days are listed, too.
    pub(in crate::flow) with_deleted: bool,
}

/// An item of one of Twilio's lists.
pub(in crate::flow) trait ListedResource: DeserializeOwned {
    /// Returns the list within a window. Sends no request yet.
    fn pages(window: ListWindow, client: &TwilioClient, account: &Account) -> Pages<Self>;

    /// Its id at Twilio.
    fn sid(&self) -> &str;

    /// The time by which Twilio filters it.
    fn listed_at(&self) -> Option<Timestamp>;

    /// Whether it belongs to this account.
    fn is_of(&self, account: &AccountSid) -> bool;
}

impl ListedResource for RecordingResource {
    fn pages(window: ListWindow, client: &TwilioClient, account: &Account) -> Pages<Self> {
        let ListWindow {
            since,
            until,
            with_deleted,
        } = window;
        client.recordings(
            account,
            &Listing {
                since,
                until,
                page_size: PAGE,
                with_deleted,
            },
        )
    }

    fn sid(&self) -> &str {
        self.sid.as_str()
    }

    fn listed_at(&self) -> Option<Timestamp> {
        self.date_created
    }

    fn is_of(&self, account: &AccountSid) -> bool {
        self.is_of(account)
    }
}

impl ListedResource for MessageResource {
    fn pages(window: ListWindow, client: &TwilioClient, account: &Account) -> Pages<Self> {
        let ListWindow { since, until, .. } = window;
        client.messages(
            account,
            &MessageListing {
                since,
                until,
                page_size: PAGE,
            },
        )
    }

    fn sid(&self) -> &str {
        self.sid.as_str()
    }

    fn listed_at(&self) -> Option<Timestamp> {
        self.date_sent
    }

    fn is_of(&self, account: &AccountSid) -> bool {
        self.is_of(account)
    }
}

impl ListedResource for TrackRecording {
    fn pages(window: ListWindow, client: &TwilioClient, account: &Account) -> Pages<Self> {
        client.track_recordings(account, window.since, window.until)
    }

    fn sid(&self) -> &str {
        self.sid.as_str()
    }

    fn listed_at(&self) -> Option<Timestamp> {
        self.created_at
    }

    fn is_of(&self, account: &AccountSid) -> bool {
        self.account.as_ref().is_none_or(|own| own == account)
    }
}

impl ListedResource for Composition {
    fn pages(window: ListWindow, client: &TwilioClient, account: &Account) -> Pages<Self> {
        client.compositions(account, window.since, window.until)
    }

    fn sid(&self) -> &str {
        self.sid.as_str()
    }

    fn listed_at(&self) -> Option<Timestamp> {
        self.created_at
    }

    fn is_of(&self, account: &AccountSid) -> bool {
        self.account.as_ref().is_none_or(|own| own == account)
    }
}

/// A pass through a list.
pub(in crate::flow) struct Lister<'a, L> {
    client: &'a TwilioClient,
    account: &'a Account,
    window: ListWindow,
    pages: Pages<L>,
    /// Whether a page was returned since the list was begun.
    is_behind: bool,
    begun_again: u32,
    seen: HashSet<String>,
}

impl<'a, L: ListedResource> Lister<'a, L> {
    pub(in crate::flow) fn of(
        client: &'a TwilioClient,
        account: &'a Account,
        window: ListWindow,
    ) -> Self {
        let pages = L::pages(window, client, account);
        Self {
            client,
            account,
            window,
            pages,
            is_behind: false,
            begun_again: 0,
            seen: HashSet::new(),
        }
    }

    /// Returns the items of the next page that were not returned yet; `None` after the last
    /// page.
    ///
    /// # Errors
    /// The last error, when the retries are used up.
    pub(in crate::flow) async fn next(&mut self) -> Result<Option<Vec<L>>, RestError> {
        let mut patience = Patience::default();
        loop {
            match self.pages.next(self.client, self.account).await {
                Ok(None) => return Ok(None),
                Ok(Some(page)) => {
                    self.is_behind = true;
                    return Ok(Some(
                        page.items
                            .into_iter()
                            .filter(|item| self.is_new(item))
                            .collect(),
                    ));
                }
                // The page token has expired.
                Err(RestError::Refused { status: 400, .. } | RestError::NotFound)
                    if self.is_behind && self.begun_again < AGAIN =>
                {
                    self.begun_again += 1;
                    self.is_behind = false;
                    self.pages = L::pages(self.window, self.client, self.account);
                }
                Err(error) => patience.after(error).await?,
            }
        }
    }

    fn is_new(&mut self, item: &L) -> bool {
        let is_within = item.listed_at().is_none_or(|created| {
            created.in_seconds() >= self.window.since.in_seconds()
                && self.window.until.is_none_or(|until| created < until)
        });
        is_within && item.is_of(self.account.sid()) && self.seen.insert(item.sid().to_owned())
    }
}

/// The number of failures of one request so far.
#[derive(Default)]
pub(in crate::flow) struct Patience {
    stumbles: u32,
    refusals: u32,
}

impl Patience {
    /// Waits until the request may be retried.
    ///
    /// # Errors
    /// The error, if a retry does not help or is not due for long.
    pub(in crate::flow) async fn after(&mut self, error: RestError) -> Result<(), RestError> {
        match self.pause(&error) {
            Some(pause) => {
                let pause = pause.mul_f64(rand::rng().random_range(1.0..=1.2));
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(error),
        }
    }

    fn pause(&mut self, error: &RestError) -> Option<Duration> {
        let (tries, most, asked_for) = match error {
            RestError::Throttled { retry_after } => (&mut self.refusals, REFUSALS, *retry_after),
            RestError::Transient { .. } => (&mut self.stumbles, STUMBLES, None),
            _ => return None,
        };
        *tries += 1;
        // 0.25 s, 0.5 s, 1 s …; a pause that Twilio asks for is waited in full.
        let pause =
            asked_for.unwrap_or_else(|| doubled(FIRST_PAUSE, (*tries).min(8), LONGEST_PAUSE));
        (*tries < most && pause <= LONGEST_PAUSE).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::TransientFailure;

    #[test]
    fn patience_grows_and_ends() {
        let stumble = RestError::Transient {
            cause: TransientFailure::Silence,
        };
        let mut patience = Patience::default();
        let pauses: Vec<_> = (0..4)
            .map(|_| patience.pause(&stumble).map(|pause| pause.as_millis()))
            .collect();
        assert_eq!(pauses, [Some(250), Some(500), Some(1000), None]);
        let refusal = |seconds: Option<u64>| RestError::Throttled {
            retry_after: seconds.map(Duration::from_secs),
        };
        let mut patience = Patience::default();
        assert_eq!(
            patience.pause(&refusal(Some(7))),
            Some(Duration::from_secs(7)),
            "what is asked for is waited for"
        );
        assert_eq!(
            patience.pause(&refusal(None)),
            Some(Duration::from_millis(500))
        );
        assert_eq!(
            patience.pause(&refusal(Some(3600))),
            None,
            "an hour is not waited for"
        );
        assert_eq!(
            (0..20)
                .filter(|_| patience.pause(&refusal(None)).is_some())
                .count(),
            4
        );
        for lost in [
            RestError::NotFound,
            RestError::Refused {
                status: 401,
                code: None,
            },
            RestError::Shape("odd"),
        ] {
            assert_eq!(Patience::default().pause(&lost), None);
        }
    }
}
