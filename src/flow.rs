//! Stories a person could tell. Every write begins here.
//!
//! Owns the order of steps: what is looked up, what is decided, what is done. Refuses to know HTTP,
//! SQL and key material; it asks `policy`, `vault` and `ledger`.

mod access;
mod accounts;
mod asking;
mod catalogue;
mod clock;
mod consent;
mod erase;
mod erasure;
mod error;
mod export;
mod facts;
mod guard;
mod ingest;
mod liveness;
mod playback;
mod policies;
mod reclassification;
mod reconcile;
mod retry;
mod shield;
mod status;
mod streams;
mod transcription;
mod upkeep;
mod work;

use std::sync::Arc;

pub use access::{
    ListedPrincipal, ListedToken, Minted, NewToken, RevokedTokens, list as list_tokens,
    list_principals, mint as mint_token, revoke as revoke_token, revoke_all as revoke_tokens_of,
};
pub use accounts::{AccountFinding, AccountStatus, AccountVerdict, Reloaded};
pub use asking::Asking;
pub use catalogue::{AuditPage, Details, Page, Source};
pub use clock::{ClockGuard, ClockStatus};
pub use consent::correction::Correction;
pub use consent::{
    About, Faults, FieldFault, Format, Imported, Instruction, MAX_FILE, MAX_STATEMENTS,
    NewStatement, Over, Recorded, StatementPage, Then,
};
pub use erasure::hold::{Holds, Lifted, NewHold};
pub use erasure::quarantine::{QuarantineSwept, Settled};
pub use erasure::retention::{Conflict, KeptGroup, RetentionReport, RetentionSweep, SweptGroup};
pub use erasure::revocation::{Continued, Outcomes, RevocationStatus, Would};
pub use erasure::shred::SayCount;
pub use error::Error;
#[cfg(test)]
pub(crate) use guard::Staged;
pub use guard::{Guarded, StreamGuard};
pub use liveness::{Liveness, Task};
pub use playback::watch::Watch;
pub use playback::{Ended, Given, Heard};
pub use policies::approval::{Request, Requests, list as list_approvals};
pub use policies::why::{Why, WhyReason};
pub use policies::{
    Published, Publishing, Version, in_force, oddities, publish, put_in_force, rulebook,
};
pub use reconcile::backfill::{AccountBackfilled, BackfillPlan, Backfilling};
pub use reconcile::{AccountReconciled, Reconciling};
pub use shield::Panicked;
pub use status::{SourceStatus, Status};
pub use streams::Streams;
pub use transcription::filing::Form;
pub use upkeep::custody::change_passphrase;
pub use upkeep::drill::{DrillOptions, Held};
pub use upkeep::epoch::{EpochSettings, EpochStatus, Rotated};
pub use upkeep::recovery::{JournalStatus, RecoverySettings};
pub use upkeep::sweep::Swept;
pub use work::Settings;

use crate::{
    evidence::NewEntry,
    keyring,
    ledger::{self, Ledger, Unit, accept::Acceptor},
    model::time::Clock,
    policy::Rulebook,
    store::Store,
    twilio::{Accounts, Client, Current},
    vault::{self, Vault},
};

/// What every story needs. Clones share it.
#[derive(Clone)]
pub struct Flow(Arc<Parts>);

/// The parts a [`Flow`] is put together from.
pub struct Parts {
    /// Where keys are used.
    pub vault: Vault,
    /// What is known.
    pub ledger: Ledger,
    /// Where ciphertext is.
    pub store: Store,
    /// What is allowed.
    pub rulebook: Rulebook,
    /// Whose callbacks are believed.
    pub accounts: Current,
    /// How media is fetched.
    pub client: Client,
    /// The way in for announcements.
    pub acceptor: Acceptor,
    /// What time it is.
    pub clock: Clock,
    /// What of it was believed so far.
    pub clock_guard: ClockGuard,
    /// How work is paced.
    pub settings: Settings,
    /// Running streams.
    pub streams: Streams,
    /// When the epoch turns.
    pub epochs: EpochSettings,
    /// Time between two snapshots.
    pub snapshot_every: std::time::Duration,
    /// Rung when there is new work.
    pub bell: tokio::sync::Notify,
    /// Rung when something wants to be in the journal.
    pub journal_bell: tokio::sync::Notify,
    /// Rung when a shred may want a turn at once.
    pub epoch_bell: tokio::sync::Notify,
    /// Which tasks of this process live.
    pub liveness: Liveness,
    /// What runs to its end, whoever waits for it.
    pub running: tokio_util::task::TaskTracker,
}

impl Flow {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The rules in force.
    pub fn rulebook(&self) -> &Rulebook {
        &self.0.rulebook
    }

    /// The accounts whose callbacks are believed, as they are now.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.0.accounts.get()
    }

    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Writes an entry down by itself.
    async fn note(&self, entry: impl Fn() -> NewEntry + Send + Sync) -> Result<(), Error> {
        let noted = self.0.ledger.unit("flow.note", async |mut unit| {
            unit.audit(entry());
            Ok::<_, ledger::Error>(())
        });
        Ok(noted.await?)
    }

    /// Does a unit of work that reads or seals with keys: the epoch is held in it, and it is done
    /// again if the epoch has turned meanwhile.
    async fn unit_with_keys<T, F, Fut>(&self, name: &'static str, work: F) -> Result<T, Error>
    where
        F: Fn(Unit) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        loop {
            let held = self.0.vault.epoch();
            let done = self.0.ledger.unit(name, async |mut unit| {
                self.0.vault.hold_epoch(&mut unit).await?;
                work(unit).await
            });
            match done.await {
                Err(Error::Vault(vault::Error::Keyring(keyring::Error::OtherEpoch(_))))
                    if self.0.vault.follow_from(held).await? => {}
                done => return done,
            }
        }
    }

    /// The present.
    pub fn now(&self) -> crate::model::time::Timestamp {
        self.0.clock.now()
    }
}
