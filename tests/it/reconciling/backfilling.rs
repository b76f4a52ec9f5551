//! An existing account is listed, day by day: first counted, then announced, and never listed
//! twice.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use recvault::{
    demo::stand_in::{Call, RecordingFacts, RequestFault},
    flow::{AccountBackfilled, Backfilling},
    model::time::Timestamp,
};

use crate::world::{Database, Recipe, Recorded, TestVault, until};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl TestVault {
    /// Adds a recording of this many days ago, without a callback.
    fn recorded_ago(&self, days: u32) -> Recorded {
        let created = self.clock.now().before(DAY * days);
        self.recorded_of(&self.account, |facts| RecordingFacts {
            created: Some(created),
            ..facts
        })
    }

    /// Lists the account, and returns the number of reported days.
    async fn backfill(&self, wanted: Backfilling) -> (AccountBackfilled, usize) {
        let wanted = Backfilling {
            account: Some(self.account.clone()),
            ..wanted
        };
        let plan = self.process.flow.backfills.plan(&wanted).await.unwrap();
        let told = AtomicUsize::new(0);
        let say = |days: usize| {
            told.fetch_add(days, Ordering::SeqCst);
        };
        let done = self
            .process
            .flow
            .backfills
            .run(&plan, &say)
            .await
            .unwrap()
            .remove(0);
        (done, told.into_inner())
    }

    fn listed(&self) -> u64 {
        self.stand_in.requests(Call::RecordingList)
    }
}

fn since(since: Timestamp) -> Backfilling {
    Backfilling {
        account: None,
        since,
        until: None,
        dry_run: false,
        restart: false,
        hold_back: None,
    }
}

async fn an_existing_account_is_counted_and_then_taken_in(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let begin = vault.clock.now().before(DAY * 20);
    let early = vault.recorded_ago(30);
    let known = vault.sealed().await;
    let old: Vec<Recorded> = [19, 12, 12, 3]
        .into_iter()
        .map(|days| vault.recorded_ago(days))
        .collect();
    let before = vault.footprint().await;
    // 27 seconds, and two channels of 16,000 bytes per second.
    let (counted, days) = vault
        .backfill(Backfilling {
            dry_run: true,
            ..since(begin)
        })
        .await;
    assert_eq!(
        (
            counted.listed,
            counted.announced,
            counted.seconds,
            counted.bytes
        ),
        (5, 4, 4 * 27, 4 * 27 * 32_000),
        "{counted:?}"
    );
    assert_eq!(
        (days, vault.listed()),
        (21, 21),
        "a day at a time, cut at midnight"
    );
    assert_eq!(vault.footprint().await, before, "and nothing was done");

    let (done, _) = vault.backfill(since(begin)).await;
    assert_eq!(
        (done.listed, done.announced, done.fault.as_deref()),
        (5, 4, None)
    );
    vault.works_off().await;
    for recorded in old.iter().chain([&known]) {
        assert_eq!(vault.state(recorded.id).await, "sealed");
    }
    assert!(
        !vault.has_row(early.id).await,
        "it is older than was asked for"
    );
    let entry = vault
        .entries()
        .await
        .into_iter()
        .find(|entry| entry["event"] == "backfill.done")
        .unwrap();
    assert_eq!(
        (&entry["details"]["listed"], &entry["details"]["announced"]),
        (&5.into(), &4.into())
    );

    // Since the same time again: only newer recordings are listed, unless a restart is requested.
    let asked = vault.listed();
    vault.clock.advance(Duration::from_secs(60));
    let (again, _) = vault.backfill(since(begin)).await;
    assert_eq!((again.announced, again.went_on_at), (0, done.until));
    assert!(vault.listed() - asked <= 2);
    let (anew, _) = vault
        .backfill(Backfilling {
            restart: true,
            ..since(begin)
        })
        .await;
    assert_eq!((anew.listed, anew.announced), (5, 0));
}

on_both_databases!(an_existing_account_is_counted_and_then_taken_in);

#[tokio::test]
async fn a_listing_breaks_off_and_goes_on_where_it_was() {
    let vault = Recipe {
        twilio: "read_idle_timeout_ms = 500",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let begin = vault.clock.now().before(DAY * 10);
    let old: Vec<Recorded> = [9, 5, 1]
        .into_iter()
        .map(|days| vault.recorded_ago(days))
        .collect();
    let plan = vault
        .process
        .flow
        .backfills
        .plan(&since(begin))
        .await
        .unwrap();
    // Two accounts with eleven days each; the first one is interrupted after three.
    let told = AtomicUsize::new(0);
    let say = |days: usize| {
        if told.fetch_add(days, Ordering::SeqCst) + days == 3 {
            vault
                .stand_in
                .fail_call(Call::RecordingList, RequestFault::WrongShape);
        }
    };
    let all = vault.process.flow.backfills.run(&plan, &say).await.unwrap();
    assert_eq!(
        all.iter()
            .map(|one| one.fault.is_some())
            .collect::<Vec<_>>(),
        [true, false],
        "the other account is listed all the same"
    );
    assert_eq!(told.load(Ordering::SeqCst), 3 + 11);
    let broken = vault.listed();
    let (rest, days) = vault.backfill(since(begin)).await;
    assert_eq!(
        (rest.went_on_at, rest.fault.as_deref()),
        (all[0].done_until, None)
    );
    assert_eq!((days, vault.listed() - broken), (8, 8), "no day twice");
    for recorded in &old {
        assert!(vault.has_row(recorded.id).await);
    }
    assert_eq!(
        vault
            .ground()
            .integer("SELECT announced FROM listings ORDER BY announced DESC")
            .await,
        Some(3),
        "of both times together"
    );
}

#[tokio::test]
async fn a_listing_holds_back_until_the_rest_is_fetched() {
    let vault = Recipe::default().by_hand().await;
    let old: Vec<Recorded> = [3, 3, 2, 1]
        .into_iter()
        .map(|days| vault.recorded_ago(days))
        .collect();
    let mut listing = std::pin::pin!(vault.backfill(Backfilling {
        hold_back: Some(1),
        ..since(vault.clock.now().before(DAY * 4))
    }));
    // Two of one day: no other day is listed before one of them is fetched.
    assert!(
        tokio::time::timeout(Duration::from_secs(2), &mut listing)
            .await
            .is_err(),
        "nobody fetches"
    );
    let known = [&old[0], &old[1], &old[2]].map(|recorded| vault.has_row(recorded.id));
    assert_eq!(
        futures_util::future::join_all(known).await,
        [true, true, false]
    );
    let fetching = async {
        until("everything is sealed", async || {
            vault.process.flow.worker.work_off().await.unwrap();
            vault
                .ground()
                .integer("SELECT COUNT(*) FROM recordings WHERE state = 'sealed'")
                .await
                == Some(4)
        })
        .await;
    };
    let ((done, _), ()) = tokio::join!(listing, fetching);
    assert_eq!((done.announced, done.fault), (4, None));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_asked() {
    let vault = Recipe::default().by_hand().await;
    let now = vault.clock.now();
    for wanted in [
        since(now.after(DAY)),
        Backfilling {
            until: Some(now.before(DAY * 2)),
            ..since(now.before(DAY))
        },
        Backfilling {
            account: Some(vault.unknown_account.clone()),
            ..since(now.before(DAY))
        },
    ] {
        assert!(
            vault.process.flow.backfills.plan(&wanted).await.is_err(),
            "{wanted:?}"
        );
    }
    assert_eq!(vault.listed(), 0);
}
