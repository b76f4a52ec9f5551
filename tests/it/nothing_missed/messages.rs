//! The same for messages: webhooks, statuses and events, in any order, repeated or lost.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use recvault::{
    demo::stand_in::{MessageFacts, MessageFile},
    flow::Reconciling,
    model::{id::RecordingId, sid::MessageSid},
};
use serde_json::{Value, json};

use super::lots;
use crate::{
    threads::keeping,
    viewing::policy,
    world::{Recipe, TestVault, digits},
};

const ANNA: &str = "+493090182001";
const LINE: &str = "+493090182009";

/// A message at Twilio.
#[derive(Clone, Copy, Debug)]
struct Kind {
    is_inbound: bool,
    files: usize,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The webhook of an incoming message, or the status callback of an outgoing one.
    Called(usize, &'static str),
    /// An event, or two of one batch.
    Streamed(usize, usize, &'static str),
    /// Due work is done.
    Work,
    /// Twilio's list is compared.
    Reconcile,
}

fn kind() -> impl Strategy<Value = Kind> {
    (any::<bool>(), prop_oneof![3 => Just(0), 1 => 1..3usize])
        .prop_map(|(is_inbound, files)| Kind { is_inbound, files })
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..5usize;
    let status = || prop::sample::select(&["queued", "sent", "delivered", "read"][..]);
    prop_oneof![
        3 => (which(), status()).prop_map(|(which, status)| Step::Called(which, status)),
        3 => (which(), which(), status()).prop_map(|(one, other, status)| Step::Streamed(one, other, status)),
        1 => Just(Step::Work),
        1 => Just(Step::Reconcile),
    ]
}

/// A lot in one of the two vaults.
struct Lot<'a> {
    vault: &'a TestVault,
    messages: Vec<(MessageSid, Kind)>,
}

impl<'a> Lot<'a> {
    fn at(vault: &'a TestVault, kinds: &[Kind], marks: &[String]) -> Self {
        let sent = Some(vault.clock.now().before(Duration::from_secs(2 * 3600)));
        let add = |(kind, mark): (&Kind, &String)| {
            let (from, to) = if kind.is_inbound {
                (ANNA, LINE)
            } else {
                (LINE, ANNA)
            };
            let files = (0..kind.files).map(|_| MessageFile::new("image/jpeg", &b"\xff\xd8"[..]));
            let facts = MessageFacts {
                media: files.collect(),
                sent,
                ..MessageFacts::inbound(from, to, &format!("text {mark}"))
            };
            let facts = if kind.is_inbound {
                facts
            } else {
                MessageFacts {
                    direction: "outbound-api".to_owned(),
                    status: "delivered".to_owned(),
                    ..facts
                }
            };
            (vault.stand_in.add_message(&vault.account, facts), *kind)
        };
        Self {
            vault,
            messages: kinds.iter().zip(marks).map(add).collect(),
        }
    }

    async fn call(&self, which: usize, status: &str) {
        let Some((sid, kind)) = self.messages.get(which) else {
            return;
        };
        let stand_in = &self.vault.stand_in;
        let (path, params) = if kind.is_inbound {
            ("/twilio/messages", stand_in.incoming_message_params(sid))
        } else {
            let params = stand_in.message_status_params(sid, status);
            ("/twilio/messages/status", params)
        };
        let answer = self.vault.post_callback(&self.vault.account, path, &params);
        assert!(answer.await.status < 300);
    }

    fn event(&self, which: usize, status: &str) -> Option<Value> {
        let (sid, kind) = self.messages.get(which)?;
        let status = if kind.is_inbound { "received" } else { status };
        Some(self.vault.stand_in.message_event(sid, status))
    }

    async fn reconcile(&self) {
        let reconciliation = &self.vault.process.flow.reconciliation;
        let done = reconciliation.reconcile(&Reconciling::default()).await;
        let done = done.unwrap();
        assert!(done.iter().all(|one| one.fault.is_none()), "{done:?}");
    }

    async fn work(&self) {
        self.vault.process.flow.worker.work_off().await.unwrap();
    }

    async fn play(&self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Called(which, status) => self.call(which, status).await,
                Step::Streamed(one, other, status) => {
                    let events = [self.event(one, status), self.event(other, status)];
                    let events: Vec<Value> = events.into_iter().flatten().collect();
                    if !events.is_empty() {
                        self.vault.streams(&json!(events)).await;
                    }
                }
                Step::Work => self.work().await,
                Step::Reconcile => self.reconcile().await,
            }
        }
        self.reconcile().await;
        self.work().await;
    }

    /// Posts every callback once, in order, and does all work at once.
    async fn play_in_order(&self) {
        for which in 0..self.messages.len() {
            self.call(which, "sent").await;
            self.call(which, "delivered").await;
            self.work().await;
        }
        self.reconcile().await;
        self.work().await;
    }

    /// Returns what does not depend on the way on which a message came, and the number of all
    /// recordings.
    async fn outcome(&self) -> (Vec<Value>, Option<i64>) {
        let mut catalogue = Vec::new();
        for (sid, _) in &self.messages {
            let vault = self.vault;
            let account = vault.account.as_str();
            let id = RecordingId::of_source(vault.made.vault, account, sid.as_str());
            let details = vault.details(id).await;
            let sizes: BTreeMap<&str, &Value> = details["artefacts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|sealed| (sealed["artefact"].as_str().unwrap(), &sealed["sealed_len"]))
                .map(|(name, len)| (name, if name == "form" { &Value::Null } else { len }))
                .collect();
            catalogue.push(json!({
                "state": details["state"], "author": details["author"], "tier": details["tier"],
                "has_thread": details["thread_id"].is_string(), "artefacts": sizes,
            }));
        }
        let count = "SELECT COUNT(*) FROM recordings";
        (catalogue, self.vault.ground().integer(count).await)
    }
}

#[test]
fn messages_in_any_order_repetition_and_loss_end_in_the_same_vault() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let recipe = || Recipe {
        policy: keeping(&policy()),
        ..Recipe::default()
    };
    let (one, other) =
        runtime.block_on(async { (recipe().by_hand().await, recipe().by_hand().await) });
    let mut runner = TestRunner::new(Config {
        cases: lots(),
        failure_persistence: None,
        ..Config::default()
    });
    let told = runner.run(
        &(vec(kind(), 1..5), vec(step(), 0..20)),
        |(kinds, steps)| {
            let marks: Vec<String> = kinds.iter().map(|_| digits()).collect();
            runtime.block_on(async {
                let lot = Lot::at(&one, &kinds, &marks);
                let in_order = Lot::at(&other, &kinds, &marks);
                lot.play(&steps).await;
                in_order.play_in_order().await;
                let (found, expected) = (lot.outcome().await, in_order.outcome().await);
                let is_sealed = |message: &Value| message["state"] == "sealed";
                if found == expected && found.0.iter().all(is_sealed) {
                    Ok(())
                } else {
                    let why = format!("{found:#?}\ninstead of\n{expected:#?}");
                    Err(TestCaseError::fail(why))
                }
            })
        },
    );
    told.unwrap();
    // The worlds are dropped in the runtime that created them.
    runtime.block_on(async move { drop((one, other)) });
}
