//! Whatever happens to Twilio's callbacks, the vault has the same final state.
//!
//! A lot is a few recordings at Twilio (of calls, conferences and trunks, with and without a file,
//! finished or running) and a sequence of events: callbacks in any order, repeated, or missing,
//! work that is done or waits, comparisons in between. After a last comparison the vault is
//! compared with another one, which received every callback once and in order: the same catalogue,
//! the same lengths of sealed objects. A failure: any difference but ids and times.

mod messages;

use std::time::Duration;

use bytes::Bytes;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use recvault::{
    demo::{
        conversation::{Channels, repeat_to},
        stand_in::RecordingFacts,
    },
    flow::Reconciling,
    model::{id::RecordingId, sid::RecordingSid, time::Timestamp},
};
use serde_json::Value;

use crate::world::{Recipe, TestVault, digits};

/// The number of lots; more in `tests/fuzz`.
pub(crate) fn lots() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a test's own variable")]
    let given = std::env::var("RECVAULT_TEST_LIVES").ok();
    given.map_or(16, |given| given.parse().expect("a number of lots"))
}

/// A recording at Twilio.
#[derive(Clone, Copy, Debug)]
struct Kind {
    of: Of,
    /// Whether there will be no file.
    absent: bool,
    /// Whether it is still running at first.
    runs: bool,
    seconds: u32,
    dual: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Call,
    Conference,
    Trunk,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A callback reports its beginning.
    Begun(usize),
    /// It ends at Twilio.
    Ends(usize),
    /// A callback reports its end, if it has ended.
    Ended(usize),
    /// Due work is done.
    Work,
    /// Twilio's list is compared.
    Reconcile,
}

fn kind() -> impl Strategy<Value = Kind> {
    let of = prop_oneof![3 => Just(Of::Call), 1 => Just(Of::Conference), 1 => Just(Of::Trunk)];
    (
        of,
        prop::bool::weighted(0.25),
        any::<bool>(),
        1..3u32,
        any::<bool>(),
    )
        .prop_map(|(of, absent, runs, seconds, dual)| Kind {
            of,
            absent,
            runs,
            seconds,
            dual,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..6usize;
    prop_oneof![
        3 => which().prop_map(Step::Begun),
        2 => which().prop_map(Step::Ends),
        4 => which().prop_map(Step::Ended),
        1 => Just(Step::Work),
        1 => Just(Step::Reconcile),
    ]
}

/// A lot in one of the two vaults.
struct Lot<'a> {
    vault: &'a TestVault,
    recordings: Vec<(RecordingSid, Kind, bool)>,
}

impl<'a> Lot<'a> {
    fn at(vault: &'a TestVault, sids: &[RecordingSid], kinds: &[Kind], created: Timestamp) -> Self {
        let mut lot = Self {
            vault,
            recordings: Vec::new(),
        };
        for (sid, kind) in sids.iter().zip(kinds) {
            let wav = repeat_to(
                kind.seconds,
                if kind.dual {
                    Channels::Dual
                } else {
                    Channels::Mono
                },
            );
            let mut facts = RecordingFacts {
                created: Some(created),
                ..RecordingFacts::new(sid, Bytes::from(wav))
            };
            match kind.of {
                Of::Call => {}
                Of::Conference => {
                    facts.conference = Some(
                        format!("CF{}", sid.as_str().trim_start_matches("RE"))
                            .parse()
                            .unwrap(),
                    );
                    (facts.call, facts.source) = (None, "Conference".into());
                }
                Of::Trunk => facts.source = "Trunking".into(),
            }
            facts.status = "in-progress".into();
            vault
                .stand_in
                .add_recording_of(&vault.account, sid.clone(), facts);
            lot.recordings.push((sid.clone(), *kind, false));
            if !kind.runs {
                lot.ends(lot.recordings.len() - 1);
            }
        }
        lot
    }

    fn ends(&mut self, which: usize) {
        let Some((sid, kind, over)) = self.recordings.get_mut(which) else {
            return;
        };
        self.vault
            .stand_in
            .set_status(sid, if kind.absent { "absent" } else { "completed" });
        *over = true;
    }

    async fn tell(&self, which: usize, ended: bool) {
        let Some((sid, kind, over)) = self
            .recordings
            .get(which)
            .filter(|(_, kind, over)| kind.of != Of::Trunk && (*over || !ended))
        else {
            return;
        };
        assert!(*over || !ended);
        let status = match (ended, kind.absent) {
            (false, _) => "in-progress",
            (true, true) => "absent",
            (true, false) => "completed",
        };
        let params = self.vault.stand_in.callback_params(sid, status);
        assert_eq!(
            self.vault
                .post_callback(&self.vault.account, "/twilio/recordings", &params)
                .await
                .status,
            204
        );
    }

    async fn reconcile(&self) {
        let done = self
            .vault
            .process
            .flow
            .reconciliation
            .reconcile(&Reconciling::default())
            .await
            .unwrap();
        assert!(
            done.iter()
                .all(|one| one.fault.is_none() && one.found.ghosts == 0),
            "{done:?}"
        );
    }

    async fn work(&self) {
        self.vault.process.flow.worker.work_off().await.unwrap();
    }

    async fn play(&mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Begun(which) => self.tell(which, false).await,
                Step::Ends(which) => self.ends(which),
                Step::Ended(which) => self.tell(which, true).await,
                Step::Work => self.work().await,
                Step::Reconcile => self.reconcile().await,
            }
        }
        for which in 0..self.recordings.len() {
            self.ends(which);
        }
        self.reconcile().await;
        self.work().await;
    }

    /// Posts every callback once, in order, and does all work at once.
    async fn play_in_order(&mut self) {
        for which in 0..self.recordings.len() {
            self.tell(which, false).await;
            self.ends(which);
            self.tell(which, true).await;
            self.work().await;
        }
        self.reconcile().await;
        self.work().await;
    }

    /// Returns the catalogue without ids and times, and the remaining work.
    async fn outcome(&self) -> (Vec<Value>, Option<i64>, Option<i64>) {
        let mut catalogue = Vec::new();
        for (sid, ..) in &self.recordings {
            let mut details = self
                .vault
                .details(RecordingId::of_source(
                    self.vault.made.vault,
                    self.vault.account.as_str(),
                    sid.as_str(),
                ))
                .await;
            let fields = details.as_object_mut().unwrap();
            fields.retain(|name, _| {
                !["id", "account_sid", "announced_at", "sealed_at"].contains(&name.as_str())
            });
            for artefact in details["artefacts"].as_array_mut().unwrap() {
                artefact.as_object_mut().unwrap().remove("sealed_sha256");
            }
            catalogue.push(details);
        }
        let ground = self.vault.ground();
        (
            catalogue,
            ground.integer("SELECT COUNT(*) FROM recordings").await,
            ground
                .integer("SELECT COUNT(*) FROM work WHERE kind = 'fetch'")
                .await,
        )
    }

    fn forget(self) {
        for (sid, ..) in &self.recordings {
            self.vault.stand_in.remove_recording(sid);
        }
    }
}

#[test]
fn any_order_repetition_and_loss_of_callbacks_ends_in_the_same_vault() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let recipe = Recipe::default;
    let (one, other) =
        runtime.block_on(async { (recipe().by_hand().await, recipe().by_hand().await) });
    let begin = one.clock.now().before(Duration::from_secs(3600));
    let created = Timestamp::from_millis(begin.as_millis() / 1000 * 1000);
    let mut runner = TestRunner::new(Config {
        cases: lots(),
        failure_persistence: None,
        ..Config::default()
    });
    let told = runner.run(
        &(vec(kind(), 1..6), vec(step(), 0..24)),
        |(kinds, steps)| {
            let sids: Vec<RecordingSid> = kinds
                .iter()
                .map(|_| format!("RE{}", digits()).parse().unwrap())
                .collect();
            runtime.block_on(async {
                let mut lot = Lot::at(&one, &sids, &kinds, created);
                let mut in_order = Lot::at(&other, &sids, &kinds, created);
                lot.play(&steps).await;
                in_order.play_in_order().await;
                let found = lot.outcome().await;
                let expected = in_order.outcome().await;
                lot.forget();
                in_order.forget();
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
