//! Failures of Twilio's list: it is requested again if that helps, reported if not, and earlier
//! results stand.

use std::time::Duration;

use bytes::Bytes;
use recvault::{
    demo::{
        conversation,
        stand_in::{Call, RateLimit, RequestFault},
    },
    flow::Reconciling,
    model::reconciled::Reconciled,
};

use crate::world::{Recipe, Recorded, TestVault, until};

/// One more than fits in a page of the list.
const MANY: usize = 501;

impl TestVault {
    /// Adds more recordings than fit in a page, without callbacks.
    fn record_many(&self) -> Vec<Recorded> {
        (0..MANY)
            .map(|_| self.record_wav(Bytes::from_static(b"RIFF")))
            .collect()
    }

    async fn rows(&self) -> i64 {
        self.ground()
            .integer("SELECT COUNT(*) FROM recordings")
            .await
            .unwrap()
    }

    /// Makes the second page fail in this way. The pages are half a second apart, so that there is
    /// time for it.
    async fn reconcile_with_a_broken_second_page(
        &self,
        wrong: RequestFault,
    ) -> recvault::flow::AccountReconciled {
        let before = self.stand_in.requests(Call::RecordingList);
        let (done, ()) = tokio::join!(self.reconcile(), async {
            until("the first page was asked for", async || {
                self.stand_in.requests(Call::RecordingList) == before + 1
            })
            .await;
            self.stand_in.fail_call(Call::RecordingList, wrong);
        });
        done
    }
}

#[tokio::test]
async fn the_list_goes_over_many_pages() {
    let vault = Recipe::default().by_hand().await;
    vault.record_many();
    let found = vault.finds().await;
    assert_eq!((found.listed, found.announced), (MANY as u64, MANY as u64));
    assert_eq!(
        (
            vault.rows().await,
            vault.stand_in.requests(Call::RecordingList)
        ),
        (MANY as i64, 2)
    );
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    for wrong in [
        RequestFault::TooMany {
            retry_after: Some(1),
        },
        RequestFault::TooMany { retry_after: None },
        RequestFault::ServerError,
        RequestFault::CutBody,
        RequestFault::Silence,
    ] {
        let vault = Recipe {
            twilio: "read_idle_timeout_ms = 500",
            ..Recipe::default()
        }
        .by_hand()
        .await;
        vault.record();
        vault.stand_in.fail_call(Call::RecordingList, wrong.clone());
        let begun = std::time::Instant::now();
        assert_eq!(vault.finds().await.announced, 1, "{wrong:?}");
        if wrong
            == (RequestFault::TooMany {
                retry_after: Some(1),
            })
        {
            assert!(
                begun.elapsed() >= Duration::from_secs(1),
                "Twilio asked for a second"
            );
        }
        assert_eq!(vault.stand_in.requests(Call::RecordingList), 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_said_and_harms_nothing() {
    let again = |wrong: RequestFault| vec![wrong; 10];
    for (wrongs, said) in [
        (
            vec![RequestFault::WrongShape],
            "lacks its documented envelope",
        ),
        (vec![RequestFault::NotJson], "not of the documented form"),
        (vec![RequestFault::Unauthorised], "refused with 401"),
        (vec![RequestFault::NotFound], "no such resource"),
        (
            vec![RequestFault::TooMany {
                retry_after: Some(600),
            }],
            "fewer requests",
        ),
        (again(RequestFault::ServerError), "answered 500"),
    ] {
        let vault = Recipe::default().by_hand().await;
        vault.record();
        for wrong in wrongs {
            vault.stand_in.fail_call(Call::RecordingList, wrong);
        }
        let done = vault.reconcile().await;
        assert!(
            done.fault
                .as_ref()
                .is_some_and(|fault| fault.contains(said)),
            "{said}: {done:?}"
        );
        assert_eq!(
            (vault.rows().await, vault.count("reconcile.done").await),
            (0, 0),
            "{said}"
        );
        let source = vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .accounts
            .remove(0);
        assert_eq!((source.done_at, source.fault), (None, done.fault), "{said}");
    }
}

#[tokio::test]
async fn paging_breaks_off_and_what_was_found_stays_found() {
    let vault = Recipe {
        twilio: "read_idle_timeout_ms = 500",
        requests_per_s: 1,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    vault.record_many();
    let done = vault
        .reconcile_with_a_broken_second_page(RequestFault::WrongShape)
        .await;
    assert!(
        done.fault.is_some() && done.found.announced == 500,
        "{done:?}"
    );
    assert_eq!(vault.rows().await, 500);
    // A truncated page is requested again, and an expired page token restarts the list: nothing is
    // announced or counted twice.
    for wrong in [
        RequestFault::CutBody,
        RequestFault::Refused {
            status: 400,
            code: 20006,
        },
        RequestFault::NotFound,
    ] {
        let done = vault
            .reconcile_with_a_broken_second_page(wrong.clone())
            .await;
        assert_eq!(
            (done.fault, done.found.listed),
            (None, MANY as u64),
            "{wrong:?}"
        );
        assert_eq!(vault.rows().await, MANY as i64);
    }
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM work WHERE kind = 'fetch'")
            .await,
        Some(MANY as i64)
    );
}

#[tokio::test]
async fn the_fault_of_one_account_stops_no_other() {
    let vault = Recipe::default().by_hand().await;
    vault.record();
    let of_another = vault.record_for(&vault.other_account, Bytes::from_static(conversation::WAV));
    vault.stand_in.promote_token(&vault.account, "another");
    let all = vault
        .process
        .flow
        .reconciliation
        .reconcile(&Reconciling::default())
        .await
        .unwrap();
    let faults: Vec<_> = all
        .iter()
        .map(|one| (one.account.clone(), one.fault.is_some()))
        .collect();
    assert_eq!(
        faults,
        [
            (vault.account.clone(), true),
            (vault.other_account.clone(), false)
        ]
    );
    assert_eq!(vault.rows().await, 1);
    assert!(vault.has_row(of_another.id).await);
    let unknown = Reconciling {
        account: Some(vault.unknown_account.clone()),
        ..Reconciling::default()
    };
    assert!(
        vault
            .process
            .flow
            .reconciliation
            .reconcile(&unknown)
            .await
            .unwrap_err()
            .to_string()
            .contains("not in `twilio.accounts`")
    );
}

#[tokio::test]
async fn twilio_limits_everybody_and_the_list_comes_to_its_end() {
    let vault = Recipe {
        ..Recipe::default()
    }
    .by_hand()
    .await;
    vault.record_many();
    vault.stand_in.behave(|behaviour| {
        behaviour.rate_limit = Some(RateLimit {
            requests: 1,
            per: Duration::from_millis(900),
            retry_after: Some(1),
        });
    });
    assert_eq!(
        vault.finds().await,
        Reconciled {
            listed: MANY as u64,
            announced: MANY as u64,
            completed_not_told: MANY as u64,
            ..Reconciled::default()
        }
    );
}
