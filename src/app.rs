//! The only place that chooses backends: builds a database, a store, an unlocked vault, and a
//! running service from a configuration.
//!
//! Owns the order of starting and stopping, and every long-lived task. Refuses to know the work of
//! the tasks.

mod init;
mod keys;
mod listen;
mod serve;
mod supervise;

use std::{path::Path, sync::Arc};

use crate::{
    config::{Config, ConfigFaults},
    custody::{self, Custody},
    db::{self, Db, accept, group_commit},
    flow::{self, Flow, Parts},
    model::time::{Clock, Timestamp},
    policy::Rules,
    store::{self, Store},
    twilio,
    vault::{self, Vault},
};
pub use init::{InitPlan, Initialised, init};
pub use serve::{RunningService, serve};

/// The reason why the service cannot start, or a command cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// Several faults of the settings, one per line.
    #[error("the configuration has faults:\n  {0}")]
    Settings(String),
    /// Several faults of the policy file, one per line.
    #[error("the policy file has faults:\n  {0}")]
    Policy(String),
    /// The root key.
    #[error(transparent)]
    Custody(#[from] custody::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// A use case.
    #[error(transparent)]
    Flow(#[from] flow::Error),
    /// TLS for the client.
    #[error(transparent)]
    Client(#[from] twilio::ClientError),
    /// `init` was given settings, but there is already a configuration file.
    #[error(
        "`{}` exists, so its settings are used as they are: change them there, and leave out \
         `--database`, `--store` and what belongs to them",
        .0.display()
    )]
    ConfigExists(std::path::PathBuf),
    /// A file or a socket.
    #[error("{what}: {cause}")]
    Io {
        /// The file or socket.
        what: String,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The metrics recorder cannot be installed.
    #[error("metrics cannot be counted: {0}")]
    Metrics(String),
}

/// The stores that may be new, so that a missing folder is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewStores {
    /// None: a missing folder means that a disk is not mounted.
    None,
    /// The store of snapshots and journal.
    OfSnapshots,
    /// All stores of a new vault.
    All,
    /// None, and a missing folder is tolerated: what is done needs no store.
    NoneNeeded,
}

/// An opened configuration: backends chosen, nothing unlocked yet.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// The objects.
    pub store: Store,
    /// The store of snapshots and journal; the main store unless `[recovery]` names another.
    pub recovery: Store,
    /// The custody of the root key.
    pub custody: Arc<dyn Custody>,
    /// The time.
    pub clock: Clock,
}

impl App {
    /// Opens database and stores. A missing folder of a store is not created.
    ///
    /// # Errors
    /// Errors of the backends.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, Error> {
        Self::open_with(config, clock, NewStores::None).await
    }

    /// Opens database and stores, and creates the folders of new stores.
    ///
    /// # Errors
    /// Errors of the backends.
    pub async fn open_with(
        mut config: Config,
        clock: Clock,
        new: NewStores,
    ) -> Result<Self, Error> {
        let custody = custody::open(std::mem::take(&mut config.custody), &config.base)?;
        let opened = |settings, is_new| match Store::open(settings, &config.base) {
            Err(store::Error::NoFolder { .. }) if is_new => Store::make(settings, &config.base),
            Err(store::Error::NoFolder { path }) if new == NewStores::NoneNeeded => {
                Ok(Store::away(path))
            }
            opened => opened,
        };
        let is_both = config.recovery.store.is_none();
        let store = opened(
            &config.store,
            new == NewStores::All || new == NewStores::OfSnapshots && is_both,
        )?;
        let recovery = match &config.recovery.store {
            Some(settings) => opened(
                settings,
                matches!(new, NewStores::All | NewStores::OfSnapshots),
            )?,
            None => store.clone(),
        };
        let db = Db::open(&config.database, &config.base)
            .await?
            .timed_by(&clock);
        Ok(Self {
            config,
            db,
            store,
            recovery,
            custody,
            clock,
        })
    }

    /// Reads and checks the policy file.
    ///
    /// # Errors
    /// All faults, one per line.
    pub fn rules(&self) -> Result<Rules, Error> {
        read_rules(&self.config.base.join(&self.config.policy.file))
    }

    /// Unlocks the vault for writing: the database was compared with the store, and this process
    /// may write to it from now on.
    ///
    /// # Errors
    /// [`Error::Custody`] or [`Error::Vault`].
    pub async fn unlock(&self) -> Result<Vault, Error> {
        Ok(Vault::unlock(self.parts()).await?)
    }

    /// Unlocks the vault for writing over a store that the operator declares to be new, without any
    /// of the objects written before.
    ///
    /// # Errors
    /// [`Error::Custody`] or [`Error::Vault`].
    pub async fn unlock_over_a_new_store(&self) -> Result<Vault, Error> {
        Ok(Vault::unlock_over_a_new_store(self.parts()).await?)
    }

    /// Unlocks the vault for reading. Every write to the database is refused. A database that lacks
    /// changes is read, with a warning.
    ///
    /// # Errors
    /// [`Error::Custody`] or [`Error::Vault`].
    pub async fn unlock_to_read(&self) -> Result<Vault, Error> {
        let vault = Vault::unlock_to_read(self.parts()).await?;
        if let Err(error) = vault.compare_with_store().await {
            tracing::error!(
                %error,
                "the database could not be compared with the store: results may be out of date"
            );
        }
        Ok(vault)
    }

    /// The parts for unlocking or rebuilding the vault.
    pub fn parts(&self) -> vault::VaultParts {
        vault::VaultParts {
            db: self.db.clone(),
            store: self.store.clone(),
            recovery: self.recovery.clone(),
            custody: Arc::clone(&self.custody),
            clock: self.clock.clone(),
        }
    }

    /// Unlocks the vault and builds all use cases, for reading.
    ///
    /// # Errors
    /// Errors of the parts.
    pub async fn flow_to_read(&mut self) -> Result<Flow, Error> {
        let vault = self.unlock_to_read().await?;
        let rules = self.rules()?;
        let (flow, _) = self.build_flow(vault, rules).await?;
        flow.clock.begin().await?;
        Ok(flow)
    }

    /// Unlocks the vault and builds all use cases, for reading by the service's rules: by the
    /// version in force, whatever the configured file is now.
    ///
    /// # Errors
    /// Errors of the parts.
    pub async fn flow_as_served(&mut self) -> Result<Flow, Error> {
        let vault = self.unlock_to_read().await?;
        let rules = match flow::in_force(&self.db).await? {
            Some(rules) => rules,
            None => self.rules()?,
        };
        let (flow, _) = self.build_flow(vault, rules).await?;
        flow.clock.begin().await?;
        Ok(flow)
    }

    /// Unlocks the vault and builds all use cases. The caller must run the committer, otherwise no
    /// callback is ever answered.
    ///
    /// # Errors
    /// Errors of the parts.
    pub async fn flow(&mut self) -> Result<(Flow, Committers), Error> {
        let (flow, committer) = self.flow_about_the_clock().await?;
        flow.clock.begin().await?;
        Ok((flow, committer))
    }

    /// Returns [`Self::flow_to_read`] for a dry run and [`Self::flow`] for the act itself, of which
    /// a command needs no callbacks.
    ///
    /// # Errors
    /// Errors of the parts.
    pub async fn flow_for(&mut self, dry_run: bool) -> Result<Flow, Error> {
        if dry_run {
            self.flow_to_read().await
        } else {
            Ok(self.flow().await?.0)
        }
    }

    /// As [`Self::flow`], to shred only: also while the store is away.
    ///
    /// # Errors
    /// Errors of the parts.
    pub async fn flow_to_shred(&mut self) -> Result<Flow, Error> {
        let vault = Vault::unlock_to_shred(self.parts()).await?;
        // What a restore left to do writes more than tombstones.
        if vault.is_compared() {
            vault.finish_restore().await?;
        }
        let (flow, _) = self.build_flow(vault, self.rules()?).await?;
        flow.clock.begin().await?;
        Ok(flow)
    }

    /// Unlocks the vault and builds all use cases, for decisions by the version in force, as the
    /// service makes them.
    ///
    /// # Errors
    /// Errors of the parts.
    pub async fn flow_to_decide(&mut self) -> Result<Flow, Error> {
        let vault = self.unlock().await?;
        vault.finish_restore().await?;
        let rules = match flow::in_force(&self.db).await? {
            Some(rules) => rules,
            None => self.rules()?,
        };
        let (flow, _) = self.build_flow(vault, rules).await?;
        flow.clock.begin().await?;
        Ok(flow)
    }

    /// As [`Self::flow`], without checking the clock: for the clock commands.
    ///
    /// # Errors
    /// Errors of the parts.
    pub async fn flow_about_the_clock(&mut self) -> Result<(Flow, Committers), Error> {
        let vault = self.unlock().await?;
        vault.finish_restore().await?;
        self.build_flow(vault, self.rules()?).await
    }

    /// As [`Self::flow`], without completing a restore first: that restore may wait for the turn
    /// that is to be released.
    ///
    /// # Errors
    /// Errors of the parts.
    pub async fn flow_to_release(&mut self) -> Result<Flow, Error> {
        let vault = self.unlock().await?;
        let rules = self.rules()?;
        Ok(self.build_flow(vault, rules).await?.0)
    }

    async fn build_flow(&self, vault: Vault, rules: Rules) -> Result<(Flow, Committers), Error> {
        let accounts = self.config.twilio.resolve(&self.config.base);
        let mut accounts = accounts.map_err(|faults| settings(&faults))?;
        keys::open_tokens(&mut accounts)?;
        let client = twilio::TwilioClient::new(&accounts)?;
        let rulebook = flow::rulebook(&self.db, rules).await?;
        let (acceptor, announcements) = accept::channel(self.db.clone());
        let (messages, queue) = group_commit::channel();
        let flow = Flow::new(Parts {
            vault,
            db: self.db.clone(),
            store: self.store.clone(),
            rulebook,
            accounts,
            client,
            acceptor,
            messages,
            clock: self.clock.clone(),
            settings: self.config.work.clone(),
            epochs: self.config.epoch.clone(),
            snapshot_every: self.config.recovery.snapshot_every(),
        });
        let messages =
            flow::MessageCommitter::new(&flow, self.db.clone(), self.clock.clone(), queue);
        let committers = Committers {
            announcements,
            messages,
        };
        Ok((flow, committers))
    }
}

/// The group commits of callbacks, which end when the last [`Flow`] is dropped.
pub struct Committers {
    announcements: accept::Committer,
    messages: flow::MessageCommitter,
}

impl Committers {
    /// Commits until the queues are closed and empty. Another call continues with the same queues.
    pub async fn run(&self, now: impl Fn() -> Timestamp + Send + Sync) {
        tokio::join!(self.announcements.run(now), self.messages.run());
    }
}

/// Joins faults of the settings, one per line.
fn settings(faults: &[twilio::account::SettingFault]) -> Error {
    Error::Settings(
        faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n  "),
    )
}

/// Reads and checks a policy file.
///
/// # Errors
/// All faults, one per line.
pub fn read_rules(path: &Path) -> Result<Rules, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| Error::Io {
        what: format!("policy file `{name}`"),
        cause,
    })?;
    let rules = Rules::parse(&name, &text).map_err(|faults| {
        Error::Policy(
            faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n  "),
        )
    })?;
    for warning in rules.warnings() {
        tracing::warn!(%warning, "the policy file has a weakness");
    }
    Ok(rules)
}
