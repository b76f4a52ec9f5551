//! A call as Twilio runs it: its TwiML, and the actions of its participant.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use recvault::{
    db::consents::ConsentRow,
    demo::{
        conversation::WAV,
        stand_in::{CallFacts, GatherAnswer, RecordingFacts},
    },
    model::{
        id::RecordingId,
        sid::{CallSid, RecordingSid},
    },
    policy::{Permit, action},
};
use roxmltree::Document;
use serde_json::{Value, json};

use super::{DESK, OURS};
use crate::world::{Answer, TestVault, digits};

/// A call with its participant.
pub(super) struct Line<'a> {
    pub(super) vault: &'a TestVault,
    pub(super) call: CallFacts,
    has_dialled: AtomicBool,
}

/// The TwiML of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told(String);

impl Told {
    pub(super) fn of(answer: &Answer) -> Self {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/xml; charset=utf-8"),
            "{answer:?}"
        );
        Self(answer.text())
    }

    /// Returns the verbs in order.
    pub(super) fn verbs(&self) -> Vec<String> {
        let read = Document::parse(&self.0).unwrap();
        read.root_element()
            .children()
            .map(|node| node.tag_name().name().to_owned())
            .collect()
    }

    pub(super) fn attribute(&self, element: &str, name: &str) -> Option<String> {
        let read = Document::parse(&self.0).unwrap();
        let found = read
            .descendants()
            .find(|node| node.has_tag_name(element))
            .unwrap_or_else(|| panic!("no {element}: {self:?}"));
        found.attribute(name).map(str::to_owned)
    }

    pub(super) fn text(&self, element: &str) -> String {
        let read = Document::parse(&self.0).unwrap();
        let found = read
            .descendants()
            .find(|node| node.has_tag_name(element))
            .unwrap_or_else(|| panic!("no {element}: {self:?}"));
        found.text().unwrap_or_default().to_owned()
    }
}

impl<'a> Line<'a> {
    pub(super) fn from(vault: &'a TestVault, number: &str) -> Self {
        let sid: CallSid = format!("CA{}", digits()).parse().unwrap();
        let call = CallFacts {
            status: "in-progress".into(),
            ..CallFacts::new(sid, number, OURS)
        };
        vault.stand_in.add_call(&vault.account, call.clone());
        Self {
            vault,
            call,
            has_dialled: AtomicBool::new(false),
        }
    }

    /// Returns the leg that this call dials.
    pub(super) fn dials(&self, to: &str) -> Self {
        let sid: CallSid = format!("CA{}", digits()).parse().unwrap();
        let call = CallFacts {
            status: "in-progress".into(),
            ..CallFacts::dialled(self.call.sid.clone(), sid, &*self.call.from, to)
        };
        self.vault
            .stand_in
            .add_call(&self.vault.account, call.clone());
        self.has_dialled.store(true, Ordering::Relaxed);
        Self {
            vault: self.vault,
            call,
            has_dialled: AtomicBool::new(false),
        }
    }

    /// Requests TwiML.
    pub(super) async fn asks(&self, path: &str) -> Told {
        let params = self
            .vault
            .stand_in
            .voice_params(&self.vault.account, &self.call);
        Told::of(
            &self
                .vault
                .post_callback(&self.vault.account, path, &params)
                .await,
        )
    }

    /// Sends an answer to the `action` of a `<Gather>`.
    pub(super) async fn answers(&self, told: &Told, answer: &GatherAnswer) -> Told {
        let path = self
            .vault
            .process
            .path_of(&told.attribute("Gather", "action").unwrap());
        self.answers_at(&path, answer).await
    }

    pub(super) async fn answers_at(&self, path: &str, answer: &GatherAnswer) -> Told {
        let params = self
            .vault
            .stand_in
            .gather_params(&self.vault.account, &self.call, answer);
        Told::of(
            &self
                .vault
                .post_callback(&self.vault.account, path, &params)
                .await,
        )
    }

    pub(super) async fn presses(&self, told: &Told, key: &str) -> Told {
        self.answers(told, &GatherAnswer::Digits(key.into())).await
    }

    pub(super) async fn says(&self, told: &Told, words: &str, confidence: &str) -> Told {
        self.answers(
            told,
            &GatherAnswer::Speech {
                said: words.into(),
                confidence: confidence.into(),
            },
        )
        .await
    }

    /// Gives no answer: Twilio continues in the document.
    pub(super) async fn is_silent(&self, told: &Told) -> Told {
        self.asks(&self.vault.process.path_of(&told.text("Redirect")))
            .await
    }

    /// Adds the recording of the call, without a dialled leg.
    pub(super) async fn was_recorded_alone(&self) -> RecordingId {
        self.has_dialled.store(true, Ordering::Relaxed);
        self.was_recorded().await
    }

    /// Adds the recording of the call; with a leg to the desk, if nothing else was dialled.
    pub(super) async fn was_recorded(&self) -> RecordingId {
        if !self.has_dialled.load(Ordering::Relaxed) {
            let desk = self.dials(DESK);
            self.vault
                .stand_in
                .set_call_status(&desk.call.sid, "completed");
        }
        // The participants are looked up when the call is over.
        self.vault
            .stand_in
            .set_call_status(&self.call.sid, "completed");
        let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
        let facts = RecordingFacts {
            call: Some(self.call.sid.clone()),
            ..RecordingFacts::new(&sid, Bytes::from_static(WAV))
        };
        self.vault
            .stand_in
            .add_recording_of(&self.vault.account, sid.clone(), facts);
        sealed(self.vault, &sid).await
    }
}

pub(super) async fn sealed(vault: &TestVault, sid: &RecordingSid) -> RecordingId {
    let params = vault.stand_in.callback_params(sid, "completed");
    assert_eq!(
        vault
            .post_callback(&vault.account, "/twilio/recordings", &params)
            .await
            .status,
        204
    );
    vault.process.flow.worker.work_off().await.unwrap();
    let id = RecordingId::of_source(vault.made.vault, vault.account.as_str(), sid.as_str());
    assert_eq!(vault.state(id).await, "sealed");
    id
}

pub(super) async fn waits(vault: &TestVault, id: RecordingId) -> bool {
    !vault.details(id).await["quarantine_ends"].is_null()
}

/// Returns the locations of a person's evidence, as the operator reads them.
pub(super) async fn evidence(vault: &TestVault, number: &str) -> Vec<String> {
    let permit = Permit::of_operator(action::Consent);
    let flow = &vault.process.flow;
    let page = flow
        .consents
        .of(&permit, &number.parse().unwrap(), None, 100)
        .await
        .unwrap();
    let open = |row: &ConsentRow| {
        flow.vault
            .open_evidence(row.statement.id, &row.evidence)
            .unwrap()
            .as_str()
            .to_owned()
    };
    let read = |text: String| {
        serde_json::from_str::<Value>(&text).unwrap()["evidence"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    page.items.iter().map(open).map(read).collect()
}

/// Returns a person's statements, as the privacy officer sees them.
pub(super) async fn statements(vault: &TestVault, number: &str) -> Vec<Value> {
    let answer = vault
        .asks("privacy-officer")
        .post("/v1/consents/search", json!({ "subject": number }))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

pub(super) async fn told(vault: &TestVault) -> i64 {
    vault
        .ground()
        .integer("SELECT COUNT(*) FROM consents WHERE method <> 'contract'")
        .await
        .unwrap()
}
