//! How the stories reach Twilio: the accounts of this moment, and the client that asks for them.
//!
//! Owns that both are one handle. Refuses to know what is asked.

use std::sync::Arc;

use crate::twilio::{Accounts, CurrentAccounts, TwilioClient};

/// The accounts as they are now, and who asks in their name.
#[derive(Debug)]
pub struct TwilioAccess {
    current: CurrentAccounts,
    /// How Twilio is asked.
    pub(super) client: TwilioClient,
}

impl TwilioAccess {
    /// These accounts, until others take their place.
    pub fn new(accounts: Accounts, client: TwilioClient) -> Self {
        Self {
            current: CurrentAccounts::new(accounts),
            client,
        }
    }

    /// The accounts of this moment, whose callbacks are believed; who holds them keeps them.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.current.get()
    }

    /// Puts others in their place.
    pub(super) fn put(&self, accounts: Accounts) {
        self.current.replace(accounts);
    }
}
