//! Direct access to the vault's data.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use recvault::{
    app::App,
    config::Config,
    custody::{Custody, RootName},
    db::{
        audit::AuditFilter,
        epochs,
        keys::{self, KeyEntry},
        recordings::{self, SealedArtefact},
    },
    keyring::RootKey,
    model::{
        artefact::Leg,
        id::{ObjectId, RecordingId},
        time::Timestamp,
    },
    policy::{Permit, action},
    secret::Key,
};
use serde_json::Value;

use super::TestVault;

impl TestVault {
    /// Returns the root page's key, opened as the vault opens it.
    pub(crate) async fn root(&self) -> RootKey {
        let app = App::open(Config::read(&self.made.config).unwrap(), self.clock.clone())
            .await
            .unwrap();
        let row = epochs::current(&mut self.process.db.read().await.unwrap())
            .await
            .unwrap()
            .unwrap();
        let name = RootName {
            vault: self.made.vault,
            epoch: row.epoch,
        };
        RootKey {
            epoch: row.epoch,
            key: app.custody.open(name, &row.root_sealed).await.unwrap(),
        }
    }

    /// Returns the present root page's key in the database of another process, opened as the vault
    /// opens it.
    pub(crate) async fn root_of(&self, process: &super::Process) -> Key {
        let row = epochs::current(&mut process.db.read().await.unwrap())
            .await
            .unwrap()
            .unwrap();
        let name = RootName {
            vault: self.made.vault,
            epoch: row.epoch,
        };
        self.custody()
            .await
            .open(name, &row.root_sealed)
            .await
            .unwrap()
    }

    /// Opens custody from the configuration.
    pub(crate) async fn custody(&self) -> Arc<dyn Custody> {
        App::open(Config::read(&self.made.config).unwrap(), self.clock.clone())
            .await
            .unwrap()
            .custody
    }

    /// Whether the catalogue has a row of the recording.
    pub(crate) async fn has_row(&self, id: RecordingId) -> bool {
        recordings::find(&mut self.process.db.read().await.unwrap(), id)
            .await
            .unwrap()
            .is_some()
    }

    pub(crate) async fn key_entry(&self, id: RecordingId) -> Option<KeyEntry> {
        keys::find_entry(&mut self.process.db.read().await.unwrap(), id, Leg::All)
            .await
            .unwrap()
    }

    pub(crate) async fn artefacts(&self, id: RecordingId) -> Vec<SealedArtefact> {
        recordings::artefacts(&mut self.process.db.read().await.unwrap(), id)
            .await
            .unwrap()
    }

    /// Returns every whole object in the store.
    pub(crate) async fn objects(&self) -> Vec<ObjectId> {
        let all = self.process.store.list(Timestamp::from_millis(i64::MAX));
        all.map_ok(|listed| listed.id).try_collect().await.unwrap()
    }

    /// Checks that nothing of an announced recording is stored.
    pub(crate) async fn holds_nothing_of(&self, id: RecordingId) {
        assert_eq!(self.state(id).await, "announced");
        assert_eq!(
            (self.key_entry(id).await, self.artefacts(id).await),
            (None, Vec::new())
        );
        assert_eq!(self.objects().await, []);
        assert_eq!(
            self.grant("reviewer", id, "quality-review").await.reasons(),
            ["recording-not-sealed"]
        );
    }

    /// Checks that a recording is sealed and plays back byte for byte.
    pub(crate) async fn plays(&self, recorded: &super::Recorded) {
        assert_eq!(self.state(recorded.id).await, "sealed");
        let heard = self.anybody().get(&self.audio(recorded.id).await).await;
        assert_eq!(heard.status, 200, "{heard:?}");
        assert!(
            heard.body == recorded.wav,
            "the sound is not the one that was recorded"
        );
    }

    /// Checks that a recording plays back in another process.
    pub(crate) async fn plays_in(&self, process: &super::Process, recorded: &super::Recorded) {
        let officer = process
            .api
            .clone()
            .bearing(self.minted("privacy-officer").token.expose());
        // Some tiers require a second person, which this request bypasses.
        let body = serde_json::json!({ "purpose": "dispute-resolution", "justification": "the customer called back", "break_glass": true });
        let answer = officer
            .post(&format!("/v1/recordings/{}/grants", recorded.id), body)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let path = process.path_of(answer.json()["audio_url"].as_str().unwrap());
        let heard = process.api.get(&path).await;
        assert_eq!(heard.status, 200, "{heard:?}");
        assert!(
            heard.body == recorded.wav,
            "the sound is not the one that was recorded"
        );
    }

    /// Returns the events of the audit log, read directly.
    pub(crate) async fn events(&self) -> Vec<String> {
        self.entries()
            .await
            .iter()
            .map(|entry| entry["event"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Returns the number of an event in the audit log.
    pub(crate) async fn count(&self, event: &str) -> usize {
        self.events()
            .await
            .iter()
            .filter(|name| *name == event)
            .count()
    }

    /// Returns the whole audit log.
    pub(crate) async fn entries(&self) -> Vec<Value> {
        let page = self
            .process
            .flow
            .catalogue
            .audit(
                &Permit::of_operator(action::Audit),
                AuditFilter::default(),
                1000,
            )
            .await
            .unwrap();
        page.items
            .iter()
            .map(|entry| serde_json::to_value(entry).unwrap())
            .collect()
    }

    /// Returns the first dead work item: its recording, and the reason.
    pub(crate) async fn dead(&self) -> Option<(String, String)> {
        let status = self.process.flow.monitoring.status().await.unwrap();
        status
            .dead
            .into_iter()
            .next()
            .map(|dead| (dead.subject, dead.last_error.unwrap()))
    }

    /// Returns the milliseconds until a recording's work is due; `None` without work.
    pub(crate) async fn due_in_ms(&self, id: RecordingId) -> Option<i64> {
        let due = self
            .ground()
            .integer(&format!(
                "SELECT due_at FROM work WHERE recording_id = '{id}'"
            ))
            .await?;
        Some(due - self.clock.now().as_millis())
    }
}
