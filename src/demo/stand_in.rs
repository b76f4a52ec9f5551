//! A Twilio that runs in this process, for tests, benches and the demo.
//!
//! Owns the part of Twilio that the vault meets: media behind Basic authentication, metadata, signed callbacks, and everything that can go
//! wrong with them, on demand. Refuses to know the vault: it talks HTTP on a loopback port and nothing else.
//!
//! INVARIANT: what it does without a [`Fault`] is what Twilio documents; it stops when it is dropped.

mod callback;
mod fault;
mod foreign;
mod media;
mod server;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

pub use self::{callback::SignedCallback, fault::Fault, foreign::ForeignHost};
use self::{fault::Faults, server::Server};
use super::conversation::{self, Facts};
use crate::{
    model::sid::{AccountSid, RecordingSid},
    secret::SecretText,
    twilio::account::{AccountSettings, Settings},
};

/// An account at the stand-in. Its secrets are made up, so they may be seen.
#[derive(Clone, Debug)]
pub struct StandInAccount {
    /// `AC…`.
    pub sid: AccountSid,
    /// Signs callbacks, and opens the interface with the SID as user.
    pub auth_token: String,
    /// SID (`SK…`) and secret of a key that opens the interface as well.
    pub api_key: Option<(String, String)>,
}

impl StandInAccount {
    /// An account without an API key.
    pub fn new(sid: AccountSid, auth_token: impl Into<String>) -> Self {
        Self { sid, auth_token: auth_token.into(), api_key: None }
    }
}

/// A running stand-in.
pub struct StandIn {
    server: Server,
    world: Arc<World>,
}

impl StandIn {
    /// Listens on a loopback port that the system chooses.
    ///
    /// Must be called inside a tokio runtime. The first account is the one that owns recordings nobody added.
    pub async fn start(accounts: Vec<StandInAccount>) -> io::Result<Self> {
        let world = Arc::new(World { accounts, ..World::default() });
        let server = server::start(|stop| media::router(Arc::clone(&world), stop)).await?;
        Ok(Self { server, world })
    }

    /// `http://127.0.0.1:<port>`: the service's `twilio.api_base`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Settings for a service that talks to this stand-in, with every account.
    pub fn settings(&self) -> Settings {
        let account = |account: &StandInAccount| {
            let mut settings = AccountSettings::new(account.sid.clone(), vec![SecretText::new(account.auth_token.clone())]);
            if let Some((sid, secret)) = &account.api_key {
                settings.api_key_sid = Some(sid.clone());
                settings.api_key_secret = Some(SecretText::new(secret.clone()));
            }
            settings
        };
        Settings { api_base: self.base_url(), accounts: self.world.accounts.iter().map(account).collect(), ..Settings::default() }
    }

    /// Makes a recording available. How many channels it has is read from the file; anything that is no WAV file counts as mono.
    pub fn add_recording(&self, account: &AccountSid, sid: RecordingSid, wav: Bytes) {
        let facts = conversation::facts(&wav).unwrap_or(Facts { channels: 1, seconds: 0 });
        self.world.recordings().insert(sid, Held { account: account.clone(), wav, facts });
    }

    /// Takes a recording away, as a deletion at Twilio does.
    pub fn remove_recording(&self, sid: &RecordingSid) {
        self.world.recordings().remove(sid);
    }

    /// Lets the next request for this recording's media fail. Faults queue up and are met in order.
    pub fn fail(&self, sid: &RecordingSid, fault: Fault) {
        self.world.faults().add(Some(sid.clone()), fault);
    }

    /// Lets the next request for any media fail that meets no fault of its own recording.
    pub fn fail_any(&self, fault: Fault) {
        self.world.faults().add(None, fault);
    }

    /// Requests for media so far, those that failed included.
    pub fn media_requests(&self) -> u64 {
        self.world.media_requests.load(Ordering::SeqCst)
    }

    /// Requests so far that came with no or the wrong credential.
    pub fn unauthorised_requests(&self) -> u64 {
        self.world.unauthorised.load(Ordering::SeqCst)
    }
}

/// What the stand-in knows; shared with its connections.
#[derive(Default)]
struct World {
    accounts: Vec<StandInAccount>,
    recordings: Mutex<HashMap<RecordingSid, Held>>,
    faults: Mutex<Faults>,
    media_requests: AtomicU64,
    unauthorised: AtomicU64,
}

/// A recording that can be fetched.
#[derive(Clone)]
struct Held {
    account: AccountSid,
    wav: Bytes,
    facts: Facts,
}

impl World {
    fn account(&self, sid: &str) -> Option<&StandInAccount> {
        self.accounts.iter().find(|account| account.sid.as_str() == sid)
    }

    fn recordings(&self) -> MutexGuard<'_, HashMap<RecordingSid, Held>> {
        self.recordings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
