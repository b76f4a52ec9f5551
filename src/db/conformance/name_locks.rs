//! Locks by name: who changes what is known waits for who enters by it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    World, at,
    consent::{call, named, party, person},
    parsed, vouched,
};
use crate::{
    db::{
        Tx, parties,
        revocations::{self, Revocation},
    },
    model::{
        actor::Initiator,
        id::RevocationId,
        revocation::Target,
        sid::AccountSid,
        subject::{Conversation, PartyScope},
    },
};

every_database!(
    whoever_changes_what_is_known_waits_for_who_enters_by_it,
    those_who_enter_do_not_wait_for_each_other,
    whoever_enters_waits_for_a_revocation_that_is_not_committed,
);

/// Returns whether a writer waits for an advisory lock; always true on SQLite, which has one writer
/// at a time.
pub(super) async fn somebody_waits(world: &World) -> bool {
    const SQL: &str = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    world.is_sqlite() || world.int(SQL).await > 0
}

fn account() -> AccountSid {
    parsed(&format!("AC{:032x}", 1))
}

async fn share(tx: &mut Tx) {
    let accounts = [account()];
    parties::share(tx, &accounts, &[call(1)]).await.unwrap();
}

/// What changes what is known of a conversation.
#[derive(Clone, Debug)]
enum Change {
    Naming(Conversation, u32),
    Revocation(Target),
}

impl Change {
    async fn make(&self, tx: &mut Tx) {
        match self {
            Self::Naming(conversation, number) => {
                let parties = [party("callee", Some(*number))];
                let vouched = vouched();
                let naming = parties::name(
                    tx,
                    conversation,
                    &PartyScope::Every,
                    &parties,
                    &vouched,
                    at(2),
                );
                naming.await.unwrap();
            }
            Self::Revocation(target) => {
                let revocation = Revocation {
                    id: RevocationId::random(&mut rand::rng()),
                    target: target.clone(),
                    purposes: [].into(),
                    accounts: [].into(),
                    reason: parsed("subject-request"),
                    actor: Initiator::Operator.actor(),
                    revoked_at: at(3),
                    is_done: false,
                    cursor: None,
                    jws: None,
                    finished_at: None,
                };
                revocations::insert(tx, &revocation, at(60)).await.unwrap();
            }
        }
    }
}

/// Runs `second` while `first` is not committed. Returns whether it waited for that.
async fn waits(world: &World, first: Tx, second: impl AsyncFnOnce(&mut Tx)) -> bool {
    let is_done = AtomicBool::new(false);
    let has_waited = AtomicBool::new(false);
    let doing = async {
        let mut tx = world.tx().await;
        second(&mut tx).await;
        is_done.store(true, Ordering::SeqCst);
        tx.commit().await.unwrap();
    };
    let committing = async {
        while !is_done.load(Ordering::SeqCst) && !somebody_waits(world).await {
            tokio::task::yield_now().await;
        }
        has_waited.store(!is_done.load(Ordering::SeqCst), Ordering::SeqCst);
        first.commit().await.unwrap();
    };
    tokio::join!(doing, committing);
    has_waited.into_inner()
}

async fn whoever_changes_what_is_known_waits_for_who_enters_by_it(world: &World) {
    named(world, &call(1), &[party("caller", Some(1))]).await;
    for change in [
        Change::Naming(call(1), 2),
        Change::Naming(call(2), 1),
        Change::Revocation(Target::Subject(person(1))),
        Change::Revocation(Target::Account(account())),
        Change::Revocation(Target::Conversation(call(1))),
    ] {
        let mut entering = world.tx().await;
        share(&mut entering).await;
        let has_waited = waits(world, entering, async |tx| change.make(tx).await).await;
        assert!(has_waited, "{change:?}");
    }
}

async fn whoever_enters_waits_for_a_revocation_that_is_not_committed(world: &World) {
    named(world, &call(1), &[party("caller", Some(1))]).await;
    let mut revoking = world.tx().await;
    let change = Change::Revocation(Target::Subject(person(1)));
    change.make(&mut revoking).await;
    assert!(waits(world, revoking, async |tx| share(tx).await).await);
}

async fn those_who_enter_do_not_wait_for_each_other(world: &World) {
    if world.is_sqlite() {
        return;
    }
    let mut first = world.tx().await;
    share(&mut first).await;
    let mut second = world.tx().await;
    share(&mut second).await;
    first.commit().await.unwrap();
    second.commit().await.unwrap();
}
