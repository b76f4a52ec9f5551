//! The world of one test: a vault folder created by the real `recvault init`, and a stand-in for
//! Twilio in the test's own process.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use recvault::{
    app::App,
    config::{Config, SHIPPED},
    demo::{
        conversation::{self, Channels, HEADER_LEN},
        stand_in::{StandIn, StandInAccount},
    },
    flow::Swept,
    model::{
        id::{RecordingId, VaultId},
        sid::{AccountSid, RecordingSid},
        time::Clock,
    },
};
use tempfile::TempDir;

use crate::{
    client::{Client, eventually},
    database::{Database, Kind},
    needs,
    process::{self, Ended, Process},
};

/// The parts of one test.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) database: Database,
    pub(crate) stand_in: StandIn,
    pub(crate) account: AccountSid,
    pub(crate) auth_token: String,
    pub(crate) vault: VaultId,
    /// The first token, with every role.
    pub(crate) token: String,
}

/// A running service with a client.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) client: Client,
}

impl World {
    /// Creates a vault on SQLite.
    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_in(&std::env::temp_dir()).await
    }

    /// Creates a vault on SQLite, in a new folder inside this one.
    pub(crate) async fn sqlite_in(place: &Path) -> Self {
        let folder = tempfile::tempdir_in(place).unwrap();
        let database = Database::Sqlite(folder.path().join("vault.db"));
        Self::made(folder, database, None).await
    }

    /// Creates a vault on SQLite whose root is wrapped by a key of AWS KMS; `lines` are its
    /// `[custody.aws_kms]`.
    pub(crate) async fn by_kms(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(folder.path().join("vault.db"));
        Self::made(folder, database, Some(lines)).await
    }

    /// Creates a vault on this kind of database.
    pub(crate) async fn on(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::sqlite().await,
            Kind::Postgres => {
                let database =
                    Database::create_postgres(&needs::required("RECVAULT_TEST_POSTGRES")).await;
                Self::made(tempfile::tempdir().unwrap(), database, None).await
            }
        }
    }

    async fn made(folder: TempDir, database: Database, kms: Option<&str>) -> Self {
        let account: AccountSid = format!("AC{}", digits()).parse().unwrap();
        let auth_token = digits();
        let stand_in = StandIn::start(vec![StandInAccount::new(
            account.clone(),
            auth_token.clone(),
        )])
        .await
        .unwrap();
        fs::create_dir(folder.path().join("secrets")).unwrap();
        fs::write(folder.path().join("secrets/twilio-auth-token"), &auth_token).unwrap();
        let config = configured(&database.url(), &stand_in.base_url(), &account);
        let config = match kms {
            Some(lines) => config.replace("kind = \"passphrase\"", "kind = \"aws-kms\"") + lines,
            None => config,
        };
        fs::write(folder.path().join("recvault.toml"), config).unwrap();
        let made = process::run_in(folder.path(), &["init", ".", "--json"], &[]).json();
        let vault = made["vault"].as_str().unwrap().parse().unwrap();
        let token = made["token"].as_str().unwrap().to_owned();
        Self {
            folder,
            database,
            stand_in,
            account,
            auth_token,
            vault,
            token,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of the operator to its end, in the vault folder.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        process::run_in(self.folder.path(), args, &[])
    }

    /// Runs a command, which must die at this crash point.
    pub(crate) fn run_until(&self, crash_at: &str, args: &[&str]) -> Ended {
        process::run_in(self.folder.path(), args, &[("RECVAULT_CRASH_AT", crash_at)])
    }

    /// Sweeps without the minimum age of an hour that the command line requires.
    pub(crate) async fn sweep_now(&self) -> Swept {
        let mut app = App::open(
            Config::read(&self.path("recvault.toml")).unwrap(),
            Clock::System,
        )
        .await
        .unwrap();
        let (flow, _committer) = app.flow().await.unwrap();
        flow.sweeper.sweep(Duration::ZERO).await.unwrap()
    }

    /// Makes each shred request a turn at once, from the next start on.
    pub(crate) fn forget_immediately(&self) {
        let file = self.path("privacy-policy.toml");
        let text = fs::read_to_string(&file).unwrap();
        let said = "forgotten = \"scheduled\"";
        assert_eq!(
            text.matches(said).count(),
            1,
            "the tier of recordings that no rule matches says so"
        );
        let text = text
            .replace(said, "forgotten = \"immediately\"")
            .replace("version = \"1\"", "version = \"2\"");
        fs::write(file, text).unwrap();
    }

    /// Turns the epoch as the operator; returns the new epoch.
    pub(crate) fn turn(&self) -> u64 {
        self.run(&["epoch", "turn", "--json"]).json()["epoch"]
            .as_u64()
            .unwrap()
    }

    /// Replaces a line of the configuration.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let file = self.path("recvault.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            text.matches(from).count(),
            1,
            "`{from}` stands in the configuration once"
        );
        fs::write(file, text.replace(from, to)).unwrap();
    }

    /// Starts the service; it may not be ready yet. `crash_at` is its crash point.
    pub(crate) fn launch(&self, crash_at: Option<&str>) -> Process {
        let mut command = process::recvault();
        // The working directory does not matter: paths start at the configuration file.
        command
            .current_dir("/")
            .arg("--config")
            .arg(self.path("recvault.toml"))
            .arg("serve");
        command.envs(crash_at.map(|point| ("RECVAULT_CRASH_AT", point)));
        Process::spawn(&mut command)
    }

    /// Starts the service and waits until it is ready.
    pub(crate) async fn serve(&self) -> Service {
        self.serve_until(None).await
    }

    /// Starts the service with a crash point and waits until it is ready.
    pub(crate) async fn serve_until(&self, crash_at: Option<&str>) -> Service {
        let process = self.launch(crash_at);
        let address = process
            .says("where it listens", |log| {
                let line = log.lines().find(|line| line.contains("serving"))?;
                Some(
                    line.split_once("address=")?
                        .1
                        .split_whitespace()
                        .next()?
                        .to_owned(),
                )
            })
            .await;
        let client = Client::new(format!("http://{address}"), &self.token);
        assert!(
            eventually(async || client
                .get("/readyz")
                .await
                .is_ok_and(|(status, _)| status == 200))
            .await,
            "{}",
            process.log()
        );
        Service { process, client }
    }

    /// Adds audio to the stand-in under a new SID.
    pub(crate) fn record(&self, wav: Bytes) -> (RecordingSid, RecordingId) {
        let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
        self.stand_in.add_recording(&self.account, sid.clone(), wav);
        let id = self.id(&sid);
        (sid, id)
    }

    /// Returns the vault's id for a SID.
    pub(crate) fn id(&self, sid: &RecordingSid) -> RecordingId {
        RecordingId::of_source(self.vault, self.account.as_str(), sid.as_str())
    }

    /// Announces a complete recording as Twilio does; returns the status of the answer.
    pub(crate) async fn announce(
        &self,
        client: &Client,
        sid: &RecordingSid,
    ) -> reqwest::Result<u16> {
        let url = format!("{}/twilio/recordings", client.base);
        Ok(self
            .stand_in
            .post_callback(&client.http, &url, sid, "completed")
            .await?
            .status()
            .as_u16())
    }

    /// Adds a recording, announces it and waits until it is sealed.
    pub(crate) async fn sealed(&self, client: &Client, wav: Bytes) -> RecordingId {
        let (sid, id) = self.record(wav);
        assert_eq!(self.announce(client, &sid).await.unwrap(), 204);
        client.until(id, "sealed").await;
        id
    }

    /// Returns the complete objects in the store, by their 32 digits, with their lengths.
    pub(crate) fn objects(&self) -> BTreeMap<String, u64> {
        let whole =
            |(name, size): (String, u64)| Some((name.strip_suffix(".floe")?.to_owned(), size));
        self.files_of_objects()
            .into_iter()
            .filter_map(whole)
            .collect()
    }

    /// Returns the number of unfinished objects.
    pub(crate) fn unfinished_objects(&self) -> usize {
        self.files_of_objects()
            .keys()
            .filter(|name| !name.ends_with(".floe"))
            .count()
    }

    /// Returns the number of unfinished files of any kind in the store.
    pub(crate) fn unfinished_files(&self) -> usize {
        fn below(folder: &Path) -> Vec<PathBuf> {
            let entries = fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
                .map(|entry| entry.path());
            entries
                .flat_map(|path| {
                    if path.is_dir() {
                        below(&path)
                    } else {
                        vec![path]
                    }
                })
                .collect()
        }
        below(&self.path("objects"))
            .iter()
            .filter(|path| path.to_string_lossy().contains(".floe#"))
            .count()
    }

    fn files_of_objects(&self) -> BTreeMap<String, u64> {
        let Ok(shards) = fs::read_dir(self.path("objects/objects")) else {
            return BTreeMap::new();
        };
        let files = shards.flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap());
        let file = |file: fs::DirEntry| {
            Some((
                file.file_name().into_string().unwrap(),
                file.metadata().ok()?.len(),
            ))
        };
        files.filter_map(|entry| file(entry.unwrap())).collect()
    }
}

/// Returns the shipped configuration with ports that the system chooses, the stand-in as Twilio,
/// and the shortest leases, because a successor waits for those of a dead process.
fn configured(db: &str, api_base: &str, account: &AccountSid) -> String {
    let mut text = SHIPPED.to_owned();
    for (from, to) in [
        ("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:0\""),
        (
            "metrics_listen = \"127.0.0.1:9464\"",
            "metrics_listen = \"127.0.0.1:0\"",
        ),
        (
            "public_url = \"http://127.0.0.1:8080\"",
            "public_url = \"http://127.0.0.1:0\"",
        ),
        (
            "api_base = \"https://api.twilio.com\"",
            &format!("api_base = \"{api_base}\""),
        ),
        (
            "intelligence_base = \"https://intelligence.twilio.com\"",
            &format!("intelligence_base = \"{api_base}\""),
        ),
        (
            "conversations_base = \"https://conversations.twilio.com\"",
            &format!("conversations_base = \"{api_base}\""),
        ),
        (
            "chat_media_base = \"https://mcs.us1.twilio.com\"",
            &format!("chat_media_base = \"{api_base}\""),
        ),
        (
            "proxy_base = \"https://proxy.twilio.com\"",
            &format!("proxy_base = \"{api_base}\""),
        ),
        (
            "video_base = \"https://video.twilio.com\"",
            &format!("video_base = \"{api_base}\""),
        ),
        // Where the stand-in stores what it redirects to.
        (
            "media_redirect_hosts = []",
            "media_redirect_hosts = [\"127.0.0.1\"]",
        ),
        // The participants of each recording are requested, and the shipped rate limit only
        // protects Twilio.
        ("requests_per_s = 100", "requests_per_s = 1000"),
        ("url = \"sqlite:vault.db\"", &format!("url = \"{db}\"")),
        ("lease_s = 60", "lease_s = 5"),
        ("grace_s = 10", "grace_s = 3"),
        // Most stories are about callbacks.
        ("every_m = 15", "every_m = 0"),
    ] {
        assert!(
            text.contains(from),
            "`{from}` is not in the shipped configuration any more"
        );
        text = text.replace(from, to);
    }
    text + &format!(
        "\n[[twilio.accounts]]\nsid = \"{account}\"\nauth_token_files = [\"secrets/twilio-auth-token\"]\n"
    )
}

/// Returns mono audio of this length, with a mark that makes it unique.
pub(crate) fn sound(mark: u32, seconds: u32) -> Bytes {
    let mut wav = conversation::repeat_to(seconds, Channels::Mono);
    wav[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&mark.to_le_bytes());
    wav.into()
}

/// Returns 32 random hex digits.
pub(crate) fn digits() -> String {
    let mut bytes = [0; 16];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes);
    hex::encode(bytes)
}
