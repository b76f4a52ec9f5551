//! Holds, and revocations with their reach.

mod holds;
mod vouching;

use std::collections::BTreeSet;

use super::{World, announcement, at, holder, parsed, source_ref};
use crate::{
    db::{
        Error, Term, Tx, audit,
        endings::{self, StreamEnding},
        revocations::{self, OutcomeCounts, Revocation},
        work::{self, Lease, WorkKind},
    },
    evidence::NewEntry,
    model::{
        actor::Initiator,
        id::{ReceiptId, RecordingId, RevocationId, SubjectId},
        revocation::{RevocationOutcome, Target},
        subject::Conversation,
    },
};

every_database!(
    a_person_is_reached_in_calls_and_conferences,
    what_was_collected_later_or_is_of_another_account_is_not_reached,
    a_recording_is_dealt_with_once,
    one_at_a_time_has_a_revocation,
    a_cursor_is_moved_only_from_where_it_was_found,
    a_revocation_that_is_done_runs_again_when_more_is_reached,
    what_covers_a_recording_is_found_from_it,
    what_is_closed_without_a_tombstone_is_told_to_who_streams,
);

fn revocation(target: Target) -> Revocation {
    Revocation {
        id: RevocationId::random(&mut rand::rng()),
        target,
        purposes: BTreeSet::new(),
        accounts: BTreeSet::new(),
        reason: parsed("subject-request"),
        actor: Initiator::Operator.actor(),
        revoked_at: at(0),
        is_done: false,
        cursor: None,
        jws: None,
        finished_at: None,
    }
}

fn subject(number: u8) -> SubjectId {
    SubjectId::of_hash(&[number; 32])
}

impl World {
    async fn begun(&self, revocation: &Revocation) {
        let mut tx = self.tx().await;
        revocations::insert(&mut tx, revocation, at(60))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn named(&self, conversation: &str, leg: &str, subject: SubjectId) {
        self.sql(&[&format!(
            "INSERT INTO parties (conversation, account, leg, subject, named_at, vouched_for) VALUES ('{conversation}', '*', '{leg}', '{subject}', 0, '*')"
        )])
        .await;
    }

    async fn reached(
        &self,
        revocation: &Revocation,
        cursor: Option<RecordingId>,
        limit: i64,
    ) -> Vec<RecordingId> {
        revocations::reached(
            &mut self.db.read().await.unwrap(),
            revocation,
            cursor,
            limit,
        )
        .await
        .unwrap()
    }

    async fn entered(
        &self,
        id: RevocationId,
        recording: RecordingId,
        outcome: RevocationOutcome,
    ) -> u64 {
        let mut tx = self.tx().await;
        let entered = revocations::enter(&mut tx, id, &[(recording, outcome)], at(5))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        entered
    }
}

async fn a_person_is_reached_in_calls_and_conferences(world: &World) {
    let [call, conference] = [format!("CA{:032x}", 1), format!("CF{:032x}", 1)];
    let mut both = announcement(0, "completed");
    (both.call, both.conference) = (Some(parsed(&call)), Some(parsed(&conference)));
    let mut by_call = announcement(1, "completed");
    by_call.call = both.call.clone();
    let mut by_conference = announcement(2, "completed");
    by_conference.conference = both.conference.clone();
    let all = vec![both, by_call, by_conference, announcement(3, "completed")];
    let ids: Vec<_> = all.iter().map(|announcement| announcement.id).collect();
    world.told(all, at(0)).await;
    let [caller, guest] = [
        revocation(Target::Subject(subject(1))),
        revocation(Target::Subject(subject(2))),
    ];
    assert_eq!(world.reached(&caller, None, 9).await, []);
    world.named(&call, "caller", subject(1)).await;
    world.named(&conference, "guest", subject(1)).await;
    world.named(&conference, "host", subject(2)).await;
    assert_eq!(world.reached(&caller, None, 9).await, ids[..3]);
    assert_eq!(world.reached(&guest, None, 9).await, [ids[0], ids[2]]);
    assert_eq!(world.reached(&caller, Some(ids[0]), 1).await, [ids[1]]);
    assert_eq!(
        revocations::pending(&mut world.tx().await, &caller)
            .await
            .unwrap(),
        3
    );
    let conversations = [call, conference].map(|sid| sid.parse::<Conversation>().unwrap());
    let legs = revocations::legs(
        &mut world.tx().await,
        subject(1),
        &conversations,
        &[].into(),
    )
    .await
    .unwrap();
    assert_eq!(
        legs,
        [
            (conversations[0].clone(), parsed("caller")),
            (conversations[1].clone(), parsed("guest"))
        ]
    );
    assert_eq!(
        world
            .reached(&revocation(Target::Recording(ids[3])), None, 9)
            .await,
        [ids[3]]
    );
}

async fn what_was_collected_later_or_is_of_another_account_is_not_reached(world: &World) {
    let ids = world.announced(6).await;
    let mut late = announcement(6, "completed");
    late.source_ref = source_ref(6, 0);
    world.told(vec![late], at(1)).await;
    let account = revocation(Target::Account(parsed(&format!("AC{:032x}", 0))));
    assert_eq!(world.reached(&account, None, 9).await, [ids[0], ids[3]]);
    assert_eq!(
        world
            .reached(
                &Revocation {
                    revoked_at: at(1),
                    ..account.clone()
                },
                None,
                9
            )
            .await
            .len(),
        3
    );
    let limited = Revocation {
        accounts: [parsed(&format!("AC{:032x}", 1))].into(),
        ..account
    };
    assert_eq!(world.reached(&limited, None, 9).await, []);
}

async fn a_recording_is_dealt_with_once(world: &World) {
    let ids = world.announced(3).await;
    let of_all = revocation(Target::Account(parsed(&format!("AC{:032x}", 0))));
    world.begun(&of_all).await;
    assert_eq!(world.reached(&of_all, None, 9).await, [ids[0]]);
    assert_eq!(
        world
            .entered(of_all.id, ids[0], RevocationOutcome::Held)
            .await,
        1
    );
    assert_eq!(
        world
            .entered(of_all.id, ids[0], RevocationOutcome::Shredded)
            .await,
        0
    );
    assert_eq!(
        world
            .entered(of_all.id, ids[1], RevocationOutcome::Closed)
            .await,
        1
    );
    assert_eq!(world.reached(&of_all, None, 9).await, []);
    let counts = revocations::count(&mut world.tx().await, of_all.id)
        .await
        .unwrap();
    let counts = OutcomeCounts::of(&counts);
    assert_eq!((counts.shredded, counts.held, counts.closed), (0, 1, 1));
    assert_eq!(
        revocations::closed(&mut world.tx().await, &ids)
            .await
            .unwrap(),
        [(ids[1], BTreeSet::new())].into()
    );

    let receipt = ReceiptId::random(&mut rand::rng());
    let mut tx = world.tx().await;
    super::tombstone(&mut tx, ids[0], at(6), receipt, 7, None)
        .await
        .unwrap();
    revocations::settle(&mut tx, &ids, at(6)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    assert_eq!(
        revocations::receipts(&mut tx, of_all.id).await.unwrap(),
        [receipt]
    );
    let outcomes = revocations::outcomes(&mut tx, of_all.id, None, None, 9)
        .await
        .unwrap();
    let told: Vec<_> = outcomes
        .iter()
        .map(|reached| (reached.recording, reached.outcome, reached.receipt))
        .collect();
    assert_eq!(
        told,
        [
            (ids[0], RevocationOutcome::Shredded, Some(receipt)),
            (ids[1], RevocationOutcome::Closed, None)
        ]
    );
    assert_eq!(
        revocations::outcomes(
            &mut tx,
            of_all.id,
            Some(RevocationOutcome::Closed),
            Some(ids[0]),
            9
        )
        .await
        .unwrap()
        .len(),
        1
    );
    assert_eq!(
        revocations::outcomes(&mut tx, of_all.id, None, Some(ids[1]), 9)
            .await
            .unwrap(),
        []
    );
}

/// Leases a revocation for a new holder.
async fn take(tx: &mut Tx, id: RevocationId, from: i64, until: i64) -> Option<Lease<RevocationId>> {
    let term = Term::at(at(from), at(until));
    work::take(tx, WorkKind::Revocation, &id, holder(), term)
        .await
        .unwrap()
}

/// Returns the revocations that are due, the oldest first.
async fn due(world: &World, now: i64) -> Vec<RevocationId> {
    let mut tx = world.tx().await;
    let term = Term::at(at(now), at(now + 1));
    let leases = work::lease(&mut tx, &[WorkKind::Revocation], holder(), term, 9)
        .await
        .unwrap();
    leases
        .iter()
        .map(|lease| lease.parsed().unwrap().subject)
        .collect()
}

/// Finishes a revocation, whoever holds its lease.
async fn finish(tx: &mut Tx, id: RevocationId, jws: &str, now: i64) {
    let term = Term::at(at(now), at(now + 60));
    let lease = work::seize(tx, WorkKind::Revocation, &id, holder(), term)
        .await
        .unwrap();
    revocations::finish(tx, &lease, jws, at(now)).await.unwrap();
}

async fn one_at_a_time_has_a_revocation(world: &World) {
    let some = revocation(Target::Recording(world.one_announced().await));
    world.begun(&some).await;
    assert_eq!(due(world, 59).await, []);
    assert_eq!(due(world, 60).await, [some.id]);
    let mut tx = world.tx().await;
    assert_eq!(take(&mut tx, some.id, 59, 100).await, None);
    let first = take(&mut tx, some.id, 60, 100).await.unwrap();
    assert_eq!(take(&mut tx, some.id, 60, 100).await, None);
    work::release(&mut tx, &first, at(70)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    assert!(take(&mut tx, some.id, 70, 100).await.is_some());
    assert!(matches!(
        revocations::finish(&mut tx, &first, "d.e.f", at(79)).await,
        Err(Error::LeaseLost)
    ));
    // Changes under a lost lease are not committed, and the work still belongs to the other holder.
    drop(tx);
    let mut tx = world.tx().await;
    let second = take(&mut tx, some.id, 70, 100).await.unwrap();
    revocations::finish(&mut tx, &second, "a.b.c", at(80))
        .await
        .unwrap();
    assert_eq!(take(&mut tx, some.id, 999, 1000).await, None);
    assert!(matches!(
        revocations::finish(&mut tx, &second, "d.e.f", at(81)).await,
        Err(Error::Stale(_))
    ));
    let done = revocations::find(&mut tx, some.id).await.unwrap().unwrap();
    let told = Revocation {
        is_done: true,
        jws: Some("a.b.c".into()),
        finished_at: Some(at(80)),
        ..some
    };
    assert_eq!(done, told);
}

async fn a_cursor_is_moved_only_from_where_it_was_found(world: &World) {
    let ids = world.announced(2).await;
    let some = revocation(Target::Recording(ids[0]));
    world.begun(&some).await;
    let mut tx = world.tx().await;
    let lease = take(&mut tx, some.id, 60, 100).await.unwrap();
    let term = Term::at(at(61), at(101));
    let advance = async |tx: &mut Tx, from, to| {
        revocations::advance(tx, &lease, from, to, term)
            .await
            .unwrap()
    };
    assert!(!advance(&mut tx, Some(ids[0]), ids[1]).await);
    assert!(advance(&mut tx, None, ids[0]).await);
    assert!(!advance(&mut tx, None, ids[1]).await);
    assert!(advance(&mut tx, Some(ids[0]), ids[1]).await);
    assert!(!revocations::lock(&mut tx, some.id, None).await.unwrap());
    assert!(
        revocations::lock(&mut tx, some.id, Some(ids[1]))
            .await
            .unwrap()
    );
}

async fn a_revocation_that_is_done_runs_again_when_more_is_reached(world: &World) {
    let mut told = announcement(0, "completed");
    let call = format!("CA{:032x}", 1);
    told.call = Some(parsed(&call));
    let id = told.id;
    world.told(vec![told], at(0)).await;
    let theirs = revocation(Target::Subject(subject(1)));
    let early = Revocation {
        revoked_at: at(-1),
        ..revocation(Target::Subject(subject(1)))
    };
    for each in [&theirs, &early] {
        world.begun(each).await;
        let mut tx = world.tx().await;
        finish(&mut tx, each.id, "a.b.c", 1).await;
        tx.commit().await.unwrap();
    }
    let conversation: Conversation = call.parse().unwrap();
    let mut tx = world.tx().await;
    assert!(
        revocations::reach_again(&mut tx, &conversation, at(9))
            .await
            .unwrap()
            .is_empty(),
        "nobody is named"
    );
    tx.commit().await.unwrap();
    world.named(&call, "caller", subject(1)).await;
    let mut tx = world.tx().await;
    assert!(
        !revocations::reach_again(&mut tx, &conversation, at(9))
            .await
            .unwrap()
            .is_empty()
    );
    tx.commit().await.unwrap();
    assert_eq!(due(world, 9).await, [theirs.id], "the other is of before");
    world
        .entered(theirs.id, id, RevocationOutcome::Shredded)
        .await;
    let mut tx = world.tx().await;
    finish(&mut tx, theirs.id, "d.e.f", 10).await;
    assert!(
        revocations::reach_again(&mut tx, &conversation, at(11))
            .await
            .unwrap()
            .is_empty(),
        "it was dealt with"
    );
    tx.commit().await.unwrap();
    // A late outcome makes it run and sign again, from its cursor.
    assert_eq!(
        world
            .entered(early.id, id, RevocationOutcome::Shredded)
            .await,
        1
    );
    assert_eq!(due(world, 9).await, [early.id]);
}

async fn what_covers_a_recording_is_found_from_it(world: &World) {
    let mut told = announcement(0, "completed");
    let conference = format!("CF{:032x}", 1);
    told.conference = Some(parsed(&conference));
    let id = told.id;
    let account = told.source_ref.account().clone();
    world.told(vec![told], at(0)).await;
    world.named(&conference, "host", subject(1)).await;
    let covering = [
        Target::Subject(subject(1)),
        Target::Recording(id),
        Target::Account(account.clone()),
    ]
    .map(revocation);
    let others = [
        revocation(Target::Subject(subject(2))),
        revocation(Target::Account(parsed(&format!("AC{:032x}", 9)))),
        Revocation {
            revoked_at: at(-1),
            ..revocation(Target::Recording(id))
        },
        Revocation {
            accounts: [parsed(&format!("AC{:032x}", 9))].into(),
            ..revocation(Target::Recording(id))
        },
    ];
    for each in covering.iter().chain(&others) {
        world.begun(each).await;
    }
    let recording = world.find(id).await.unwrap();
    let found = revocations::covering(&mut world.tx().await, &recording)
        .await
        .unwrap();
    let found: BTreeSet<_> = found.iter().map(|revocation| revocation.id).collect();
    assert_eq!(
        found,
        covering.iter().map(|revocation| revocation.id).collect()
    );
}

async fn what_is_closed_without_a_tombstone_is_told_to_who_streams(world: &World) {
    let ids = world.announced(2).await;
    let mut tx = world.tx().await;
    let begin = audit::head(&mut tx).await.unwrap();
    let reason = parsed("subject-request");
    let seq = audit::append(
        &mut tx,
        NewEntry::recording_revoked(at(0), Initiator::Operator, ids[0], None, &reason, None),
    )
    .await
    .unwrap();
    let receipt = ReceiptId::random(&mut rand::rng());
    let next = audit::append(
        &mut tx,
        NewEntry::shred_tombstoned(at(0), Initiator::Operator, ids[1], receipt, &reason),
    )
    .await
    .unwrap();
    super::tombstone(&mut tx, ids[1], at(0), receipt, next, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let all = endings::after(&mut world.tx().await, begin, 9)
        .await
        .unwrap();
    let shredded = StreamEnding::Shredded;
    assert_eq!(all, [(seq, shredded(ids[0])), (next, shredded(ids[1]))]);
    assert_eq!(
        endings::after(&mut world.tx().await, seq, 9).await.unwrap(),
        all[1..]
    );
}
