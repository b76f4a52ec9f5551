//! The environment of the demo: a stand-in for Twilio, a vault folder, and the real service in this
//! process.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;

use super::{
    conversation,
    stand_in::{
        CallFacts, MessageFacts, SentenceFacts, SignedCallback, StandIn, StandInAccount,
        TranscriptFacts,
    },
};
use crate::{
    app::{self, App, RunningService},
    config::Config,
    drill::Old,
    flow::{CompletedDrill, DrillOptions, Reconciling},
    model::{
        id::{RecordingId, VaultId},
        media::SourceRef,
        sid::{
            AccountSid, CallSid, ChatMessageSid, ChatServiceSid, ChatSid, CompositionSid,
            MessageSid, RecordingSid, TrackRecordingSid,
        },
        time::Clock,
    },
    policy::{Permit, action},
};

type Failure = Box<dyn Error + Send + Sync>;

/// Everything that runs.
pub(super) struct World {
    service: RunningService,
    stand_in: StandIn,
    http: reqwest::Client,
    account: AccountSid,
    vault: VaultId,
    token: String,
    folder: PathBuf,
    /// Whether the folder is kept at the end.
    is_kept: bool,
}

impl World {
    /// Starts everything on ports that the system chooses.
    pub(super) async fn set_up(dir: Option<PathBuf>) -> Result<Self, Failure> {
        let is_kept = dir.is_some();
        let folder = dir.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("recvault-demo-{}", sid_digits()))
        });
        if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(format!(
                "`{}` is not empty; the demo needs a folder of its own",
                folder.display()
            )
            .into());
        }
        let account: AccountSid = format!("AC{}", sid_digits()).parse()?;
        let auth_token = sid_digits();
        let stand_in = StandIn::start(vec![StandInAccount::new(
            account.clone(),
            auth_token.clone(),
        )])
        .await?;
        let made = app::init(&app::InitPlan::in_folder(&folder), Clock::System).await?;
        fs::create_dir_all(folder.join("secrets"))?;
        fs::write(folder.join("secrets/twilio-auth-token"), auth_token)?;
        let text = fs::read_to_string(&made.config)?;
        fs::write(
            &made.config,
            configured(&text, &stand_in.base_url(), &account),
        )?;
        let policy = folder.join("privacy-policy.toml");
        let text = fs::read_to_string(&policy)?;
        fs::write(&policy, keeping_more(&text))?;
        let app = App::open(Config::read(&made.config)?, Clock::System).await?;
        let service = app::serve(app).await?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        let token = made.admin.token.expose().to_owned();
        Ok(Self {
            service,
            stand_in,
            http,
            account,
            vault: made.vault,
            token,
            folder,
            is_kept,
        })
    }

    /// Stops everything and removes the folder, unless it is kept.
    pub(super) async fn tear_down(self) {
        self.service.stop().await;
        if !self.is_kept {
            // A folder in the system's temporary directory; a failed removal leaves it there.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.service.address)
    }

    pub(super) fn metrics_url(&self) -> String {
        self.service
            .metrics
            .map_or_else(String::new, |address| format!("http://{address}"))
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn stand_in(&self) -> &StandIn {
        &self.stand_in
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Adds the conversation to the stand-in under a new SID, and returns the id that it will have
    /// in the vault.
    pub(super) fn record(&self) -> Result<(RecordingSid, RecordingId), Failure> {
        let sid: RecordingSid = format!("RE{}", sid_digits()).parse()?;
        self.stand_in.add_recording(
            &self.account,
            sid.clone(),
            Bytes::from_static(conversation::WAV),
        );
        let id = SourceRef::of_call(&self.account, &sid).recording_id(self.vault);
        Ok((sid, id))
    }

    /// Adds the recording of a call between these two parties, and the call itself.
    pub(super) fn record_call(
        &self,
        from: &str,
        to: &str,
    ) -> Result<(RecordingSid, RecordingId), Failure> {
        let (sid, id) = self.record()?;
        let call: CallSid = sid.as_str().replacen("RE", "CA", 1).parse()?;
        let dialled: CallSid = format!("CA{}", sid_digits()).parse()?;
        self.stand_in.add_call(
            &self.account,
            CallFacts::new(call.clone(), from, "+4930230125999"),
        );
        self.stand_in
            .add_call(&self.account, CallFacts::dialled(call, dialled, from, to));
        Ok((sid, id))
    }

    /// Compares Twilio's list with the vault. Returns the number of newly announced recordings.
    pub(super) async fn compare_with_twilio(&self) -> Result<u64, Failure> {
        let compared = self
            .service
            .flow
            .reconciliation
            .reconcile(&Reconciling::default())
            .await?;
        Ok(compared.iter().map(|account| account.found.announced).sum())
    }

    /// Adds a transcript of a recording at Twilio, and posts its event.
    pub(super) async fn transcribe(
        &self,
        recording: &RecordingSid,
        said: &str,
    ) -> Result<(), Failure> {
        let sid = format!("GT{}", sid_digits());
        let facts = TranscriptFacts::new(sid.clone(), recording);
        let facts = TranscriptFacts {
            sentences: vec![SentenceFacts::new(1, "0.5", "2.5", said)],
            ..facts
        };
        self.stand_in.add_transcript(&self.account, facts);
        let url = format!("{}/twilio/intelligence", self.base_url());
        let event = self
            .stand_in
            .transcript_event(&sid)
            .ok_or("the transcript is not there")?;
        self.stand_in
            .callback(&self.account, &url, &event)
            .post(&self.http, &url)
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// Adds a message at Twilio, and posts its webhook. Returns its ids, and the status of the answer.
    pub(super) async fn text(
        &self,
        facts: MessageFacts,
    ) -> Result<(MessageSid, RecordingId, u16), Failure> {
        let sid = self.stand_in.add_message(&self.account, facts);
        let url = format!("{}/twilio/messages", self.base_url());
        let callback = self.stand_in.message_callback(&sid, &url);
        let answer = callback.post(&self.http, &url).await?;
        let source = SourceRef::parse(self.account.clone(), sid.as_str())?;
        let id = source.recording_id(self.vault);
        Ok((sid, id, answer.status().as_u16()))
    }

    /// Posts an event of a chat, as Twilio does. Returns the status of the answer.
    pub(super) async fn tell_of_chat(
        &self,
        sign: impl FnOnce(&str) -> SignedCallback + Send,
    ) -> Result<u16, Failure> {
        let url = format!("{}/twilio/conversations", self.base_url());
        let answer = sign(&url).post(&self.http, &url).await?;
        Ok(answer.status().as_u16())
    }

    /// Returns the id of a message of a chat.
    pub(super) fn id_of_chat_message(&self, sid: &ChatMessageSid) -> Result<RecordingId, Failure> {
        let source = SourceRef::parse(self.account.clone(), sid.as_str())?;
        Ok(source.recording_id(self.vault))
    }

    /// Announces the complete recording of a track. Returns its id.
    pub(super) async fn film(&self, sid: &TrackRecordingSid) -> Result<RecordingId, Failure> {
        let url = format!("{}/twilio/video", self.base_url());
        let callback = self
            .stand_in
            .track_callback(sid, "recording-completed", &url);
        callback.post(&self.http, &url).await?.error_for_status()?;
        let source = SourceRef::parse(self.account.clone(), sid.as_str())?;
        Ok(source.recording_id(self.vault))
    }

    /// Begins a chat.
    pub(super) fn begin_chat(&self) -> Result<ChatSid, Failure> {
        let service: ChatServiceSid = format!("IS{}", sid_digits()).parse()?;
        Ok(self.stand_in.add_chat(&self.account, &service))
    }

    /// Announces a complete composition. Returns its id.
    pub(super) async fn compose(&self, sid: &CompositionSid) -> Result<RecordingId, Failure> {
        let url = format!("{}/twilio/video", self.base_url());
        let callback = self
            .stand_in
            .composition_callback(sid, "composition-available", &url);
        callback.post(&self.http, &url).await?.error_for_status()?;
        let source = SourceRef::parse(self.account.clone(), sid.as_str())?;
        Ok(source.recording_id(self.vault))
    }

    /// Returns a new id of Twilio's with these letters.
    pub(super) fn new_sid<S: std::str::FromStr>(&self, letters: &str) -> Result<S, Failure> {
        let sid = format!("{letters}{}", sid_digits());
        sid.parse()
            .map_err(|_| format!("`{letters}` are not the letters of such an id").into())
    }

    /// The account of every recording.
    pub(super) fn account(&self) -> &AccountSid {
        &self.account
    }

    /// Announces a recording as Twilio does. Returns the status of the answer.
    pub(super) async fn announce(&self, sid: &RecordingSid) -> Result<u16, Failure> {
        let url = format!("{}/twilio/recordings", self.base_url());
        Ok(self
            .stand_in
            .post_callback(&self.http, &url, sid, "completed")
            .await?
            .status()
            .as_u16())
    }

    /// Announces a recording without knowledge of the auth token. Returns the status of the answer.
    pub(super) async fn forge(&self, sid: &RecordingSid, url: &str) -> Result<u16, Failure> {
        let params = self.stand_in.callback_params(sid, "completed");
        let mut callback = self.stand_in.callback(&self.account, url, &params);
        callback.signature = "bm90IHNpZ25lZCBieSBUd2lsaW8=".into();
        Ok(callback.post(&self.http, url).await?.status().as_u16())
    }

    /// Sends a request to the API with the first token.
    pub(super) async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<(u16, serde_json::Value), Failure> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.base_url()))
            .bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await?;
        Ok((
            response.status().as_u16(),
            response.json().await.unwrap_or_default(),
        ))
    }

    /// Waits until a recording has a state; the service works in the background.
    pub(super) async fn until(&self, id: RecordingId, state: &str) -> Result<(), Failure> {
        for _ in 0..600 {
            let (_, body) = self
                .ask(reqwest::Method::GET, &format!("/v1/recordings/{id}"), None)
                .await?;
            if body.get("state").and_then(serde_json::Value::as_str) == Some(state) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("the recording did not become {state} in time").into())
    }

    /// Copies database, snapshots and journal in their present state.
    pub(super) async fn keep_old_copies(&self) -> Result<Old, Failure> {
        self.service.flow.recovery.journal().await?;
        let kept = self.folder.join("kept");
        for folder in ["snapshots", "journal"] {
            fs::create_dir_all(kept.join(folder))?;
            for entry in fs::read_dir(self.folder.join("objects").join(folder))? {
                let entry = entry?;
                fs::copy(entry.path(), kept.join(folder).join(entry.file_name()))?;
            }
        }
        let db = kept.join("vault.db");
        fs::copy(self.folder.join("vault.db-wal"), kept.join("vault.db-wal"))?;
        fs::copy(self.folder.join("vault.db"), &db)?;
        Ok(Old {
            dbs: vec![db.display().to_string()],
            stores: vec![kept],
            files: Vec::new(),
        })
    }

    /// Turns the epoch under the running service. Returns whether no shred waits for a turn.
    pub(super) async fn turn(&self) -> Result<bool, Failure> {
        for _ in 0..600 {
            // The service may be turning it at the same time.
            if self
                .service
                .flow
                .epochs
                .turn(&Permit::of_operator(action::Keys))
                .await?
                .is_some()
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let status = self.service.flow.epochs.status().await?;
        Ok(status.waiting == 0 && status.finished)
    }

    /// Runs a drill with old copies, under the running service.
    pub(super) async fn drill(&self, old: Old) -> Result<CompletedDrill, Failure> {
        let options = DrillOptions {
            old,
            sandbox: None,
            sample: 100,
        };
        Ok(self
            .service
            .flow
            .drills
            .hold(&Permit::of_operator(action::Keys), options, &|_| {})
            .await?)
    }

    /// Adds another recording and waits until it is sealed.
    pub(super) async fn another_recording(&self) -> Result<RecordingId, Failure> {
        let (sid, id) = self.record()?;
        self.announce(&sid).await?;
        self.until(id, "sealed").await?;
        Ok(id)
    }
}

/// Returns the shipped configuration with free ports and the stand-in as Twilio.
fn configured(shipped: &str, api_base: &str, account: &AccountSid) -> String {
    let account = format!(
        "\n[[twilio.accounts]]\nsid = \"{account}\"\nauth_token_files = [\"secrets/twilio-auth-token\"]\n"
    );
    let text = shipped
        .replace("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:0\"")
        .replace(
            "metrics_listen = \"127.0.0.1:9464\"",
            "metrics_listen = \"127.0.0.1:0\"",
        )
        .replace(
            "public_url = \"http://127.0.0.1:8080\"",
            "public_url = \"http://127.0.0.1:0\"",
        )
        .replace(
            "api_base = \"https://api.twilio.com\"",
            &format!("api_base = \"{api_base}\""),
        )
        .replace(
            "intelligence_base = \"https://intelligence.twilio.com\"",
            &format!("intelligence_base = \"{api_base}\""),
        )
        .replace("https://conversations.twilio.com", api_base)
        .replace("https://mcs.us1.twilio.com", api_base)
        .replace(
            "video_base = \"https://video.twilio.com\"",
            &format!("video_base = \"{api_base}\""),
        )
        // Where the stand-in stores what it redirects to.
        .replace(
            "media_redirect_hosts = []",
            "media_redirect_hosts = [\"127.0.0.1\"]",
        )
        .replace("level = \"info\"", "level = \"warn\"");
    text + &account
}

/// Returns 32 random hex digits.
fn sid_digits() -> String {
    let mut bytes = [0; 16];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes);
    hex::encode(bytes)
}

/// Returns the policy with messages, chats and video among the kinds that are kept, as a version of
/// its own.
fn keeping_more(policy: &str) -> String {
    policy
        .replacen("version = \"1\"", "version = \"demo\"", 1)
        .replacen(
            "[collection]\n",
            "[collection]\nkinds = [\"call\", \"message\", \"chat-message\", \"video-track\", \"video-composition\"]\n",
            1,
        )
}
