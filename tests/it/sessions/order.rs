//! Whatever happens to the callbacks of a session, the vault has the same final state.
//!
//! A lot is a session of two, in which texts are written and calls are recorded; and a sequence of the
//! callbacks in any order, repeated or missing, with work and comparisons in between. After a last
//! comparison the vault is compared with another one, which received every callback once and in order.

use std::time::Duration;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use recvault::{flow::Reconciling, model::sid::InteractionSid};
use serde_json::{Value, json};

use super::{ANNA, BEN, Sent, Session, calls::called};
use crate::{
    threads::keeping,
    transcribing::work,
    viewing::policy,
    world::{Recipe, Recorded, TestVault},
};

/// What happens in the session.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A text, and whether Anna writes it.
    Text(bool),
    /// A recorded call, and whether Twilio lists its second leg below the first.
    Call(bool),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The callback of a text or call.
    Tell(usize),
    /// The callback of the recording of a call.
    TellRecording(usize),
    Work,
    Compare,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        2 => any::<bool>().prop_map(Kind::Text),
        1 => any::<bool>().prop_map(Kind::Call),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4usize).prop_map(Step::Tell),
        2 => (0..4usize).prop_map(Step::TellRecording),
        1 => Just(Step::Work),
        1 => Just(Step::Compare),
    ]
}

enum Happened {
    Text(Sent),
    Call(Box<Recorded>, InteractionSid),
}

/// A lot in one of the two vaults.
struct Lot<'a> {
    vault: &'a TestVault,
    session: Session,
    all: Vec<Happened>,
}

impl<'a> Lot<'a> {
    fn at(vault: &'a TestVault, kinds: &[Kind]) -> Self {
        let session = vault.begun();
        let happens = |(number, kind): (usize, &Kind)| match *kind {
            Kind::Text(is_annas) => {
                let text = format!("text {number}");
                Happened::Text(vault.wrote_in(&session, is_annas, &text))
            }
            Kind::Call(is_linked) => {
                let (recorded, sid) = called(vault, &session, is_linked);
                Happened::Call(Box::new(recorded), sid)
            }
        };
        let all = kinds.iter().enumerate().map(happens).collect();
        Self {
            vault,
            session,
            all,
        }
    }

    async fn tell(&self, which: usize) {
        let sid = match self.all.get(which) {
            Some(Happened::Text(sent)) => &sent.sid,
            Some(Happened::Call(_, sid)) => sid,
            None => return,
        };
        let answer = self.vault.tells_of(&self.session, sid).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    async fn tell_recording(&self, which: usize) {
        if let Some(Happened::Call(recorded, _)) = self.all.get(which) {
            let answer = self.vault.tell(recorded, "completed").await;
            assert_eq!(answer.status, 204, "{answer:?}");
        }
    }

    async fn compare(&self) {
        let reconciliation = &self.vault.process.flow.reconciliation;
        let done = reconciliation.reconcile(&Reconciling::default()).await;
        let done = done.unwrap();
        assert!(done.iter().all(|one| one.fault.is_none()), "{done:?}");
    }

    async fn play(&self, steps: Option<&[Step]>) {
        match steps {
            Some(steps) => {
                for step in steps {
                    match *step {
                        Step::Tell(which) => self.tell(which).await,
                        Step::TellRecording(which) => self.tell_recording(which).await,
                        Step::Work => work(self.vault).await,
                        Step::Compare => self.compare().await,
                    }
                }
            }
            None => {
                for which in 0..self.all.len() {
                    self.tell(which).await;
                    self.tell_recording(which).await;
                    work(self.vault).await;
                }
            }
        }
        // No callback of a message behind a text is expected any more.
        let later = Duration::from_secs(2 * 3600);
        self.vault.clock.advance(later);
        self.vault.stand_in.advance(later);
        self.compare().await;
        work(self.vault).await;
    }

    /// Returns what does not depend on the way on which a text or call came.
    async fn outcome(&self) -> Vec<Value> {
        let vault = self.vault;
        let anna = self.session.anna.as_str().to_ascii_lowercase();
        let mut all = Vec::new();
        for happened in &self.all {
            let id = match happened {
                Happened::Text(sent) => sent.id,
                Happened::Call(recorded, _) => recorded.id,
            };
            let details = vault.details(id).await;
            let text = match happened {
                Happened::Text(_) => json!(vault.reads(id).await),
                Happened::Call(..) => Value::Null,
            };
            let mut people = Vec::new();
            for person in [ANNA, BEN] {
                people.push(vault.of_person(person).await.contains(&id.to_string()));
            }
            let links = details["links"].as_array().unwrap().iter();
            let links: Vec<_> = links.map(|link| [&link["kind"], &link["state"]]).collect();
            let copies = match happened {
                Happened::Text(_) => details["at_source"]["copies"].as_array().unwrap().len(),
                Happened::Call(..) => 0,
            };
            all.push(json!({
                "state": details["state"], "tier": details["tier"], "text": text, "people": people,
                "is_annas": details["author"] == json!(anna), "links": links, "copies": copies,
                "is_in_session": details["session_sid"] == json!(self.session.sid),
            }));
        }
        let count = |sql: String| async move { vault.ground().integer(&sql).await };
        let of_session = format!(
            "SELECT COUNT(*) FROM parties WHERE conversation = '{}' AND subject IS NOT NULL",
            self.session.sid
        );
        all.push(json!([
            count(of_session).await,
            count("SELECT COUNT(*) FROM recordings".to_owned()).await,
            count("SELECT COUNT(*) FROM work WHERE kind IN ('fetch', 'session')".to_owned()).await,
        ]));
        all
    }
}

#[test]
fn sessions_in_any_order_repetition_and_loss_end_in_the_same_vault() {
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
        cases: crate::nothing_missed::lots(),
        failure_persistence: None,
        ..Config::default()
    });
    let told = runner.run(
        &(vec(kind(), 1..5), vec(step(), 0..20)),
        |(kinds, steps)| {
            runtime.block_on(async {
                let lot = Lot::at(&one, &kinds);
                let in_order = Lot::at(&other, &kinds);
                lot.play(Some(&steps)).await;
                in_order.play(None).await;
                let (found, expected) = (lot.outcome().await, in_order.outcome().await);
                if found == expected {
                    Ok(())
                } else {
                    Err(TestCaseError::fail(format!(
                        "{found:#?}\ninstead of\n{expected:#?}"
                    )))
                }
            })
        },
    );
    told.unwrap();
    // The worlds are dropped in the runtime that created them.
    runtime.block_on(async move { drop((one, other)) });
}
