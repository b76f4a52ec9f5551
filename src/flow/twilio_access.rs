//! Access to Twilio: the current accounts, and the client for requests.
//!
//! Owns that both are one handle. Refuses to know what is requested.

use std::sync::Arc;

use crate::twilio::{Accounts, CurrentAccounts, TwilioClient};

/// The current accounts, and the client.
#[derive(Debug)]
pub struct TwilioAccess {
    current: CurrentAccounts,
    /// The client for requests to Twilio.
    pub(super) client: TwilioClient,
}

impl TwilioAccess {
    /// Creates the handle with these accounts, until they are replaced.
    pub fn new(accounts: Accounts, client: TwilioClient) -> Self {
        Self {
            current: CurrentAccounts::new(accounts),
            client,
        }
    }

    /// Returns the current accounts, whose callbacks are accepted; a caller keeps its copy until it
    /// drops it.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.current.get()
    }

    /// Replaces the accounts.
    pub(super) fn put(&self, accounts: Accounts) {
        self.current.replace(accounts);
    }
}
