//! The world of one test: a vault with its folder, database, store, stand-in for Twilio and clock,
//! and a bearer token for every role.
//!
//! Owns the construction of a world. There are two kinds of process: one *by hand*, with real HTTP
//! on loopback but without workers, where `flow.worker.work_off()` does the work on demand; and one
//! that is *served*, as by `recvault serve`.
//!
//! INVARIANT: worlds share nothing but the machine; everything that a world created is removed on
//! drop.

mod attacker;
mod caller;
#[macro_use]
mod database;
mod faulty_custody;
mod faulty_store;
mod gated_host;
mod home;
mod memory_custody;
mod moto;
mod peek;
mod process;
mod recipe;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use recvault::{
    app::{App, Initialised},
    config::Config,
    db::{self, Db},
    demo::{
        conversation,
        stand_in::{StandIn, StandInAccount},
    },
    flow::{self, Minted},
    model::{
        id::RecordingId,
        name::Role,
        sid::{AccountSid, RecordingSid},
        time::Clock,
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use self::{
    attacker::Attacker,
    caller::{Answer, Caller, send},
    database::{Database, Ground},
    faulty_custody::{Ask, FaultyCustody},
    faulty_store::{FaultyStore, Op, Plan},
    gated_host::GatedHost,
    home::{Furnished, Home},
    memory_custody::MemoryCustody,
    process::Process,
    recipe::{Kept, Recipe, that_keeps_everything},
};
use crate::s3_server::S3Server;

/// A vault with everything around it. The first process is part of it;
/// [`TestVault::another_process`] starts more.
pub(crate) struct TestVault {
    /// The first process. Declared first, so that it is dropped first.
    pub(crate) process: Process,
    /// The clock of every process.
    pub(crate) clock: Clock,
    /// The result of `init`.
    pub(crate) made: Initialised,
    /// The stand-in for Twilio.
    pub(crate) stand_in: StandIn,
    /// The account of the recordings in most tests.
    pub(crate) account: AccountSid,
    /// Another account of the vault; the only one to which the stranger has access.
    pub(crate) other_account: AccountSid,
    /// An account at Twilio that the vault has not configured.
    pub(crate) unknown_account: AccountSid,
    /// The S3 server, if the store is one.
    pub(crate) s3: Option<S3Server>,
    /// The auth token of [`TestVault::account`].
    pub(crate) auth_token: String,
    tokens: BTreeMap<&'static str, Minted>,
    ground: Ground,
    folder: TempDir,
    recipe: Recipe,
}

/// A recording at the stand-in, with its id in the vault.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub(crate) sid: RecordingSid,
    pub(crate) id: RecordingId,
    pub(crate) wav: Bytes,
}

/// The bearers of tokens. `stranger` has every role, in another account; `nobody` has none that the
/// policy knows.
const BEARERS: [(&str, &[&str]); 6] = [
    ("agent", &["agent"]),
    ("reviewer", &["reviewer"]),
    ("privacy-officer", &["privacy-officer"]),
    ("auditor", &["auditor"]),
    (
        "stranger",
        &["agent", "reviewer", "privacy-officer", "auditor"],
    ),
    ("nobody", &["visitor"]),
];

impl TestVault {
    async fn mint_all(
        process: &Process,
        clock: &Clock,
        other: &AccountSid,
    ) -> BTreeMap<&'static str, Minted> {
        let mut tokens = BTreeMap::new();
        for (name, roles) in BEARERS {
            let roles: Vec<Role> = roles.iter().map(|role| role.parse().unwrap()).collect();
            let accounts = if name == "stranger" {
                vec![other.clone()]
            } else {
                Vec::new()
            };
            let lifetime = Duration::from_secs(30 * 24 * 3600);
            let wanted = flow::NewToken {
                roles,
                accounts,
                ..flow::NewToken::new(name.parse().unwrap(), lifetime)
            };
            tokens.insert(
                name,
                flow::mint_token(&process.db, clock, wanted).await.unwrap(),
            );
        }
        tokens
    }

    /// Starts another process on the same database and store, by hand.
    pub(crate) async fn another_process(&self) -> Process {
        self.another_process_at(self.clock.clone()).await
    }

    /// Starts another process with a clock of its own.
    pub(crate) async fn another_process_at(&self, clock: Clock) -> Process {
        let app = App::open(Config::read(&self.made.config).unwrap(), clock)
            .await
            .unwrap();
        self.recipe.by_hand_over(self.recipe.adapted(app)).await
    }

    /// Opens the app of a process over an empty database of this kind, which exists until the
    /// returned ground is dropped.
    pub(crate) async fn app_on_an_empty_database(
        &self,
        database: Database,
    ) -> (App, (TempDir, Ground)) {
        let folder = tempfile::tempdir().unwrap();
        let ground = database.ground(folder.path()).await;
        (self.app_on(folder.path(), &ground).await, (folder, ground))
    }

    /// Opens the app of a process over another database.
    pub(crate) async fn app_on(&self, folder: &Path, ground: &Ground) -> App {
        let mut app = App::open(Config::read(&self.made.config).unwrap(), self.clock.clone())
            .await
            .unwrap();
        // One: a test that holds a session while it requests another would wait for itself, here
        // and in every other test.
        let settings = db::DatabaseSettings {
            url: ground.url.clone(),
            connections: 1,
        };
        app.db = Db::open(&settings, folder)
            .await
            .unwrap()
            .timed_by(&self.clock);
        self.recipe.adapted(app)
    }

    /// Starts another process, by hand, over an opened app.
    pub(crate) async fn process_over(&self, app: App) -> Process {
        self.recipe.by_hand_over(app).await
    }

    /// Whether another process could start; the fault if not.
    pub(crate) async fn opens(&self) -> Result<(), String> {
        let mut app = App::open(Config::read(&self.made.config).unwrap(), self.clock.clone())
            .await
            .unwrap();
        app.flow()
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Returns the metrics of the served process.
    pub(crate) async fn metrics(&self) -> String {
        let address = self.process.metrics.expect("a served process has metrics");
        Caller::at(address).get("/metrics").await.text()
    }

    /// The vault's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the database, for direct access.
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Returns the token of one of [`BEARERS`].
    pub(crate) fn minted(&self, who: &str) -> &Minted {
        &self.tokens[who]
    }

    /// Returns a client of the first process, with the token of one of [`BEARERS`].
    pub(crate) fn asks(&self, who: &str) -> Caller {
        self.process
            .api
            .clone()
            .bearing(self.minted(who).token.expose())
    }

    /// Returns a client of the first process, without a token.
    pub(crate) fn anybody(&self) -> &Caller {
        &self.process.api
    }

    /// Adds the conversation under a new SID.
    pub(crate) fn record(&self) -> Recorded {
        self.record_wav(Bytes::from_static(conversation::WAV))
    }

    /// Adds a file under a new SID.
    pub(crate) fn record_wav(&self, wav: Bytes) -> Recorded {
        self.record_for(&self.account, wav)
    }

    /// Adds a file under a new SID of an account.
    pub(crate) fn record_for(&self, account: &AccountSid, wav: Bytes) -> Recorded {
        let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
        self.stand_in
            .add_recording(account, sid.clone(), wav.clone());
        Recorded {
            id: RecordingId::of_source(self.made.vault, account.as_str(), sid.as_str()),
            sid,
            wav,
        }
    }

    /// Posts the callback of a recording with this status.
    pub(crate) async fn tell(&self, recorded: &Recorded, status: &str) -> Answer {
        let params = self.stand_in.callback_params(&recorded.sid, status);
        let account = params
            .iter()
            .find(|(name, _)| name == "AccountSid")
            .unwrap()
            .1
            .parse()
            .unwrap();
        self.post_callback(&account, "/twilio/recordings", &params)
            .await
    }

    /// Posts a form as Twilio, signed by an account for the public URL.
    pub(crate) async fn post_callback(
        &self,
        account: &AccountSid,
        path: &str,
        params: &[(String, String)],
    ) -> Answer {
        let callback = self
            .stand_in
            .callback(account, &self.process.public(path), params);
        self.process
            .api
            .form(path, &callback.body, &[&callback.signature])
            .await
    }

    /// Adds a recording and posts its callback; its work waits.
    pub(crate) async fn announced(&self) -> Recorded {
        let recorded = self.record();
        assert_eq!(self.tell(&recorded, "completed").await.status, 204);
        recorded
    }

    /// Adds a recording and seals it.
    pub(crate) async fn sealed(&self) -> Recorded {
        self.sealed_wav(Bytes::from_static(conversation::WAV)).await
    }

    /// Adds a recording with this audio and seals it.
    pub(crate) async fn sealed_wav(&self, wav: Bytes) -> Recorded {
        let recorded = self.record_wav(wav);
        assert_eq!(self.tell(&recorded, "completed").await.status, 204);
        self.process.flow.worker.work_off().await.unwrap();
        assert_eq!(self.state(recorded.id).await, "sealed");
        recorded
    }

    /// Requests a grant for a purpose, with a justification.
    pub(crate) async fn grant(&self, who: &str, id: RecordingId, purpose: &str) -> Answer {
        let body = json!({ "purpose": purpose, "justification": "the customer called back" });
        self.asks(who)
            .post(&format!("/v1/recordings/{id}/grants"), body)
            .await
    }

    /// Returns the audio path of a reviewer's grant.
    pub(crate) async fn audio(&self, id: RecordingId) -> String {
        let answer = self.grant("reviewer", id, "quality-review").await;
        assert_eq!(answer.status, 201, "{answer:?}");
        self.process
            .path_of(answer.json()["audio_url"].as_str().unwrap())
    }

    /// Shreds as the privacy officer.
    pub(crate) async fn shred(&self, id: RecordingId) -> Answer {
        self.asks("privacy-officer")
            .delete(
                &format!("/v1/recordings/{id}"),
                json!({ "reason": "subject-request" }),
            )
            .await
    }

    /// Returns a recording as the API shows it to the auditor.
    pub(crate) async fn details(&self, id: RecordingId) -> Value {
        let path = format!("/v1/recordings/{id}");
        let mut answer = self.asks("auditor").get(&path).await;
        if answer.status == 503 && answer.json()["type"] == "/problems/not-durable-yet" {
            // A shred is not shown before it is durable; without workers, the journal must be
            // written here.
            self.process.flow.recovery.journal().await.unwrap();
            answer = self.asks("auditor").get(&path).await;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Returns its state in the API.
    pub(crate) async fn state(&self, id: RecordingId) -> String {
        self.details(id).await["state"].as_str().unwrap().to_owned()
    }

    /// Advances the manual clock far enough for any postponed work to be due, and does it.
    pub(crate) async fn later(&self) -> usize {
        self.clock.advance(Duration::from_secs(1000));
        self.process.flow.worker.work_off().await.unwrap()
    }
}

/// Polls until a condition holds, for background work of a served vault.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..3000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about in time: {what}");
}

/// Returns every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Returns 32 random hex digits.
pub(crate) fn digits() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

fn account(sid: &AccountSid, auth_token: &str) -> StandInAccount {
    StandInAccount::new(sid.clone(), auth_token)
}
