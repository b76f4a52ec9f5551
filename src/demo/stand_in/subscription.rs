//! Subscriptions to recording status callbacks.

/// A callback URL and its statuses.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) url: String,
    pub(super) events: Vec<String>,
}

impl Subscription {
    /// Creates a subscription. `events` are separated by blanks; none means `completed` alone.
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
