//! Whom Twilio tells of recordings, and of which of their statuses.

/// A callback URL and the statuses it is told.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) url: String,
    pub(super) events: Vec<String>,
}

impl Subscription {
    /// `events` are separated by blanks; none means `completed` alone.
    pub(super) fn new(url: &str, events: &str) -> Self {
        let mut events: Vec<String> = events.split_whitespace().map(str::to_owned).collect();
        if events.is_empty() {
            events.push("completed".to_owned());
        }
        Self {
            url: url.to_owned(),
            events,
        }
    }
}
