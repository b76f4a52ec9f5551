//! The settings of a world.

use std::{fs, sync::Arc, time::Duration};

use object_store::ObjectStore;
use recvault::{
    app::{self, App, Initialised},
    config::{Config, SHIPPED_POLICY},
    demo::stand_in::StandIn,
    flow,
    model::{sid::AccountSid, time::Clock},
    store::Store,
    vault::Vault,
};
use tempfile::TempDir;

use super::{
    Database, FaultyCustody, FaultyStore, MemoryCustody, Process, TestVault, account, digits,
};
use crate::s3_server::{self, S3Server};

/// The store of ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// `objects` in the vault's folder.
    Folder,
    /// In this process.
    Memory,
    /// A real S3 server over HTTP.
    S3,
}

/// The settings of a [`TestVault`]. The default: SQLite, a folder, a manual clock at the present,
/// and the shipped policy without its minimum length and level, because many tests use a few bytes
/// of audio.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) database: Database,
    pub(crate) kept: Kept,
    pub(crate) clock: Clock,
    pub(crate) policy: String,
    /// The public URL; `None`: the address of the process.
    pub(crate) public_url: Option<String>,
    /// Auth tokens of the account, configured before the one that the stand-in uses.
    pub(crate) newer_tokens: Vec<String>,
    /// Further lines for `[server]`, `[twilio]` and `[work]`.
    pub(crate) server: &'static str,
    pub(crate) twilio: &'static str,
    pub(crate) work: &'static str,
    /// `twilio.requests_per_s`.
    pub(crate) requests_per_s: u32,
    /// `twilio.reconcile.every_m`. 0, as in most tests: a recording without a callback is not
    /// found.
    pub(crate) every_m: u32,
    /// Further lines for the account of most recordings.
    pub(crate) account: &'static str,
    /// `[custody]`.
    pub(crate) home: String,
    /// Lines for `[epoch]`.
    pub(crate) epoch: &'static str,
    /// A store that replaces the configured one.
    pub(crate) adapter: Option<Arc<dyn ObjectStore>>,
    /// A store for snapshots and journal that replaces the other.
    pub(crate) recovery: Option<FaultyStore>,
    /// A wrapper of custody.
    pub(crate) custody: Option<FaultyCustody>,
    /// Custody that replaces the configured one.
    pub(crate) memory: Option<MemoryCustody>,
}

/// Returns a policy without minimum length and level.
pub(crate) fn that_keeps_everything(policy: &str) -> String {
    let bound = |line: &&str| {
        !["shorter_than", "quieter_than"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    policy
        .lines()
        .filter(bound)
        .map(|line| format!("{line}\n"))
        .collect()
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            database: Database::Sqlite,
            kept: Kept::Folder,
            clock: Clock::manual(Clock::System.now()),
            policy: that_keeps_everything(SHIPPED_POLICY),
            public_url: None,
            newer_tokens: Vec::new(),
            server: "",
            twilio: "",
            work: "",
            requests_per_s: 1000,
            every_m: 0,
            account: "",
            home: String::new(),
            epoch: "",
            adapter: None,
            recovery: None,
            custody: None,
            memory: None,
        }
    }
}

impl Recipe {
    /// The default, on this database.
    pub(crate) fn on(database: Database) -> Self {
        Self {
            database,
            ..Self::default()
        }
    }

    /// Creates a vault whose work is done on demand.
    pub(crate) async fn by_hand(self) -> TestVault {
        self.make(false).await
    }

    /// Creates a vault as `recvault serve` runs it.
    pub(crate) async fn served(self) -> TestVault {
        self.make(true).await
    }

    async fn make(self, served: bool) -> TestVault {
        let folder = tempfile::tempdir().unwrap();
        let ground = self.database.ground(folder.path()).await;
        let s3 = (self.kept == Kept::S3).then(s3_server::start);
        let [account_sid, other_account, unknown_account] =
            std::array::from_fn(|_| format!("AC{}", digits()).parse::<AccountSid>().unwrap());
        let auth_token = digits();
        let other_token = digits();
        let stand_in = StandIn::start(vec![
            account(&account_sid, &auth_token),
            account(&other_account, &other_token),
            account(&unknown_account, &digits()),
        ]);
        let stand_in = stand_in.await.unwrap();

        let config = self.config(
            &ground.url,
            s3.as_ref(),
            &stand_in.base_url(),
            &[&account_sid, &other_account],
        );
        self.write(&folder, &config, &auth_token, &other_token);
        let made = match self.memory {
            None => app::init(&app::InitPlan::in_folder(folder.path()), self.clock.clone())
                .await
                .unwrap(),
            Some(_) => self.planted(&folder).await,
        };
        let app = App::open(Config::read(&made.config).unwrap(), self.clock.clone())
            .await
            .unwrap();
        let app = self.adapted(app);
        if self.memory.is_none() && (self.recovery.is_some() || self.kept == Kept::Memory) {
            // As an operator who names another store for recovery must do: nothing is written
            // before it holds a snapshot.
            app.unlock_over_a_new_store()
                .await
                .unwrap()
                .snapshot()
                .await
                .unwrap();
        }
        let process = if served {
            Process::served(app).await
        } else {
            self.by_hand_over(app).await
        };
        let tokens = TestVault::mint_all(&process, &self.clock, &other_account).await;
        let clock = self.clock.clone();
        let account = account_sid;
        TestVault {
            process,
            clock,
            made,
            stand_in,
            account,
            other_account,
            unknown_account,
            s3,
            auth_token,
            tokens,
            ground,
            folder,
            recipe: self,
        }
    }

    /// Starts a process over an adapted app.
    pub(super) async fn by_hand_over(&self, adapted: App) -> Process {
        Process::by_hand(adapted, self.public_url.as_deref()).await
    }

    /// Runs `init`, with the test's own custody.
    async fn planted(&self, folder: &TempDir) -> Initialised {
        let config = folder.path().join("recvault.toml");
        let app = self.adapted(
            App::open_with(
                Config::read(&config).unwrap(),
                self.clock.clone(),
                app::NewStores::All,
            )
            .await
            .unwrap(),
        );
        let vault = Vault::create(&app.db, app.custody.as_ref(), &app.clock)
            .await
            .unwrap();
        let unlocked = app.unlock().await.unwrap();
        flow::put_in_force(&app.db, &unlocked, &app.rules().unwrap())
            .await
            .unwrap();
        let wanted = flow::NewToken::new("admin".parse().unwrap(), Duration::from_secs(3600));
        let admin = flow::mint_token(&app.db, &app.clock, wanted).await.unwrap();
        unlocked.snapshot().await.unwrap();
        Initialised {
            vault,
            config,
            passphrase: None,
            admin,
            at: app.clock.now(),
        }
    }

    pub(super) fn adapted(&self, mut app: App) -> App {
        if let Some(adapter) = &self.adapter {
            app.store = Store::over(Arc::clone(adapter));
        }
        if let Some(recovery) = &self.recovery {
            app.recovery = Store::over(Arc::new(recovery.clone()));
        }
        if let Some(memory) = &self.memory {
            app.custody = Arc::new(memory.clone());
        }
        if let Some(custody) = &self.custody {
            app.custody = custody.before(app.custody);
        }
        app
    }

    fn write(&self, folder: &TempDir, config: &str, auth_token: &str, other_token: &str) {
        let at = |name: &str| folder.path().join(name);
        fs::write(at("recvault.toml"), config).unwrap();
        fs::write(at("privacy-policy.toml"), &self.policy).unwrap();
        fs::create_dir(at("secrets")).unwrap();
        fs::write(at("secrets/other"), other_token).unwrap();
        for (number, token) in self
            .newer_tokens
            .iter()
            .map(String::as_str)
            .chain([auth_token])
            .enumerate()
        {
            fs::write(at(&format!("secrets/{number}")), token).unwrap();
        }
    }

    fn config(
        &self,
        db: &str,
        s3: Option<&S3Server>,
        api_base: &str,
        accounts: &[&AccountSid; 2],
    ) -> String {
        let store = match (self.kept, s3) {
            (Kept::S3, Some(s3)) => format!(
                "url = \"s3://{}/team/a\"\nendpoint = \"{}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"",
                s3.bucket, s3.endpoint, s3.access_key, s3.secret_key
            ),
            (Kept::Memory, _) => "url = \"memory:\"".to_owned(),
            _ => "url = \"folder:objects\"".to_owned(),
        };
        let public = self.public_url.as_deref().unwrap_or("http://127.0.0.1:0");
        let files: Vec<String> = (0..=self.newer_tokens.len())
            .map(|number| format!("\"secrets/{number}\""))
            .collect();
        let [account, other] = accounts;
        // All clients have one address here; tests of limits set them.
        let limits = if self.server.contains("[server.limits]") {
            ""
        } else {
            "[server.limits]\nanonymous_per_s = 0\nfailures_per_m = 0"
        };
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"127.0.0.1:0\"\npublic_url = \"{public}\"\n{}\n{limits}\n\
             [database]\nurl = \"{db}\"\n[store]\n{store}\n\
             [twilio]\napi_base = \"{api_base}\"\nintelligence_base = \"{api_base}\"\nrequests_per_s = {}\n{}\n\
             [twilio.products]\nconversations_base = \"{api_base}\"\nchat_media_base = \"{api_base}\"\nproxy_base = \"{api_base}\"\nvideo_base = \"{api_base}\"\n\
             [twilio.reconcile]\nevery_m = {}\n\
             [[twilio.accounts]]\nsid = \"{account}\"\nauth_token_files = [{}]\n{}\n\
             [[twilio.accounts]]\nsid = \"{other}\"\nauth_token_files = [\"secrets/other\"]\n\
             [work]\n{}\n[epoch]\n{}\n{}",
            self.server,
            self.requests_per_s,
            self.twilio,
            self.every_m,
            files.join(", "),
            self.account,
            self.work,
            self.epoch,
            self.home
        )
    }
}
