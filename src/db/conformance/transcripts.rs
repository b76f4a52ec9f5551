//! Transcripts of the source, and pieces of real-time transcriptions.

mod live;

use super::{World, announcement, at, holder};
use crate::{
    db::{
        Error, Term, Tx, recordings,
        transcripts::{self, LeasedTranscript, TranscriptId, TranscriptionEvent},
        utterances::{self, Utterance},
        work::{self, WorkKind},
    },
    model::{
        origin::Origin,
        recording::Recording,
        sid::{AccountSid, CallSid, RecordingSid, TranscriptSid},
        time::Timestamp,
    },
};

every_database!(
    a_transcript_is_told_of_once_and_again_when_it_is_dead,
    a_lease_holds_and_a_lost_one_is_stale,
    only_one_transcript_of_a_recording_is_filed,
    what_is_found_is_entered_once_and_a_poll_is_nobodys_transcript,
    letting_go_takes_every_word_and_keeps_what_is_filed_elsewhere,
    the_dead_are_shown_and_revived,
);

fn account(number: u32) -> AccountSid {
    format!("AC{number:032x}").parse().unwrap()
}

fn source(number: u32) -> RecordingSid {
    format!("RE{number:032x}").parse().unwrap()
}

fn sid_of(recording: &Recording) -> RecordingSid {
    recording.source_ref.recording_sid().unwrap()
}

fn call(number: u32) -> CallSid {
    format!("CA{number:032x}").parse().unwrap()
}

fn gt(number: u32) -> TranscriptSid {
    format!("GT{number:032x}").parse().unwrap()
}

fn intelligence(number: u32) -> Origin {
    Origin::Intelligence(gt(number))
}

fn record(number: u32) -> Origin {
    Origin::Record(format!("TR{number:032x}").parse().unwrap())
}

async fn tell(tx: &mut Tx, origin: &Origin, source: Option<&RecordingSid>, now: i64) {
    transcripts::tell(tx, &id(0, origin), source, at(now), at(now))
        .await
        .unwrap();
}

fn id(number: u32, origin: &Origin) -> TranscriptId {
    TranscriptId {
        account: account(number),
        origin: origin.clone(),
    }
}

async fn any_due(tx: &mut Tx, now: Timestamp) -> bool {
    let term = Term::at(now, now);
    let due = work::due(tx, &[WorkKind::FetchTranscript], term).await;
    !due.unwrap().is_empty()
}

async fn lease(tx: &mut Tx, now: i64, until: i64) -> Vec<LeasedTranscript> {
    let term = Term::at(at(now), at(until));
    let leases = work::lease(tx, &[WorkKind::FetchTranscript], holder(), term, 9)
        .await
        .unwrap();
    let mut all = Vec::new();
    for lease in leases {
        let found = transcripts::leased(tx, lease.parsed().unwrap()).await;
        all.push(found.unwrap().expect("it waits"));
    }
    all.sort_by(|one, other| one.origin().cmp(other.origin()));
    all
}

fn event<'a>(
    ids: &'a (AccountSid, TranscriptSid, CallSid),
    began: Option<i64>,
    ended: Option<i64>,
) -> TranscriptionEvent<'a> {
    let (account, transcription, call) = ids;
    TranscriptionEvent {
        account,
        transcription,
        call,
        began_at: began.map(at),
        ended_at: ended.map(at),
    }
}

fn piece(track: &str, sequence: i64) -> Utterance {
    Utterance {
        track: track.into(),
        sequence,
        sealed: vec![1, 2, 3],
    }
}

/// Announces recordings of one call, by number.
async fn of_one_call(world: &World, numbers: &[u32]) -> Vec<Recording> {
    let told = numbers.iter().map(|number| {
        let mut told = announcement(*number, "completed");
        told.source_ref = super::source_ref(*number, 0);
        told.call = Some(call(1));
        told
    });
    let told: Vec<_> = told.collect();
    let ids: Vec<_> = told.iter().map(|told| told.id).collect();
    world.told(told, at(0)).await;
    let mut all = recordings::find_all(&mut world.db.read().await.unwrap(), &ids)
        .await
        .unwrap();
    all.sort_by(|one, other| one.source_ref.cmp(&other.source_ref));
    all
}

async fn state(world: &World, origin: &Origin) -> i64 {
    let state =
        "CASE t.state WHEN 'waiting' THEN CASE w.state WHEN 'due' THEN 1 WHEN 'dead' THEN 4 END
        WHEN 'filed' THEN 2 WHEN 'passed' THEN 3 END";
    let which = format!(
        "t.sid = '{}' AND t.kind = '{}'",
        origin.sid(),
        origin.kind()
    );
    world
        .int(&format!(
            "SELECT CAST(COALESCE(SUM({state}), 0) AS BIGINT) FROM transcripts t LEFT JOIN work w
             ON w.kind = 'transcript' AND w.subject = t.account || '/' || t.kind || '/' || t.sid WHERE {which}"
        ))
        .await
}

const NONE: i64 = 0;
const DUE: i64 = 1;
const FILED: i64 = 2;
const PASSED: i64 = 3;
const DEAD: i64 = 4;

async fn a_transcript_is_told_of_once_and_again_when_it_is_dead(world: &World) {
    let mut tx = world.tx().await;
    tell(&mut tx, &intelligence(1), None, 10).await;
    tell(&mut tx, &intelligence(1), None, 20).await;
    assert!(!any_due(&mut tx, at(9)).await);
    let [ours] = lease(&mut tx, 10, 100).await.try_into().unwrap();
    assert_eq!(
        (
            ours.lease.attempts,
            ours.told_at,
            ours.origin(),
            ours.source.clone()
        ),
        (1, at(10), &intelligence(1), None)
    );
    // An announcement does not break a lease.
    tell(&mut tx, &intelligence(1), None, 30).await;
    assert!(!any_due(&mut tx, at(99)).await);
    transcripts::bury(&mut tx, &ours, "why").await.unwrap();
    assert!(!any_due(&mut tx, at(9999)).await);
    tell(&mut tx, &intelligence(1), None, 40).await;
    let [again] = lease(&mut tx, 40, 100).await.try_into().unwrap();
    assert_eq!(
        (again.lease.attempts, again.told_at),
        (1, at(40)),
        "its patience begins anew"
    );
    // The same id may also belong to a real-time transcript, and to another account.
    let ids = (account(0), gt(1), call(1));
    assert!(
        transcripts::hear(&mut tx, &event(&ids, None, None), at(50), at(50))
            .await
            .unwrap()
    );
    transcripts::tell(&mut tx, &id(7, &intelligence(1)), None, at(50), at(50))
        .await
        .unwrap();
    assert_eq!(lease(&mut tx, 50, 100).await.len(), 2);
}

async fn a_lease_holds_and_a_lost_one_is_stale(world: &World) {
    let recording = of_one_call(world, &[3]).await.remove(0);
    let mut tx = world.tx().await;
    tell(&mut tx, &record(1), Some(&source(3)), 0).await;
    let [lost] = lease(&mut tx, 0, 100).await.try_into().unwrap();
    assert!(lease(&mut tx, 99, 200).await.is_empty());
    let [ours] = lease(&mut tx, 100, 200).await.try_into().unwrap();
    assert_eq!(
        (ours.lease.attempts, ours.source.clone()),
        (2, Some(source(3)))
    );
    let stale = |result: Result<(), Error>| matches!(result, Err(Error::LeaseLost));
    assert!(stale(
        transcripts::postpone(&mut tx, &lost, at(300), "w").await
    ));
    assert!(stale(transcripts::bury(&mut tx, &lost, "w").await));
    assert!(stale(transcripts::pass(&mut tx, &lost).await));
    assert!(stale(transcripts::remove(&mut tx, &lost).await));
    assert!(stale(transcripts::file(&mut tx, &lost, &recording).await));
    // The recording that was found is stored.
    let found = LeasedTranscript {
        source: Some(source(4)),
        ..ours
    };
    transcripts::postpone(&mut tx, &found, at(300), "why")
        .await
        .unwrap();
    assert!(lease(&mut tx, 299, 400).await.is_empty());
    let [again] = lease(&mut tx, 300, 400).await.try_into().unwrap();
    assert_eq!(again.source, Some(source(4)));
    transcripts::remove(&mut tx, &again).await.unwrap();
    assert!(lease(&mut tx, 9999, 99999).await.is_empty());
}

async fn only_one_transcript_of_a_recording_is_filed(world: &World) {
    let recording = of_one_call(world, &[3]).await.remove(0);
    let mut tx = world.tx().await;
    assert_eq!(transcripts::filed(&mut tx, &recording).await.unwrap(), None);
    tell(&mut tx, &record(1), Some(&source(3)), 5).await;
    tell(&mut tx, &intelligence(1), None, 6).await;
    let [first, second] = lease(&mut tx, 10, 100).await.try_into().unwrap();
    assert_eq!(
        [first.origin(), second.origin()],
        [&intelligence(1), &record(1)]
    );
    transcripts::file(&mut tx, &second, &recording)
        .await
        .unwrap();
    assert_eq!(
        transcripts::filed(&mut tx, &recording).await.unwrap(),
        Some((record(1), at(5)))
    );
    transcripts::file(&mut tx, &first, &recording)
        .await
        .unwrap();
    assert_eq!(
        transcripts::filed(&mut tx, &recording).await.unwrap(),
        Some((intelligence(1), at(6)))
    );
    tx.commit().await.unwrap();
    assert_eq!(
        [
            state(world, &record(1)).await,
            state(world, &intelligence(1)).await
        ],
        [PASSED, FILED]
    );
    let mut tx = world.tx().await;
    tell(&mut tx, &intelligence(1), None, 20).await;
    tell(&mut tx, &record(1), None, 20).await;
    assert!(
        !any_due(&mut tx, at(9999)).await,
        "what is dealt with is not done again"
    );
    transcripts::mark_superseded(&mut tx, &recording)
        .await
        .unwrap();
    assert_eq!(transcripts::filed(&mut tx, &recording).await.unwrap(), None);
}

async fn what_is_found_is_entered_once_and_a_poll_is_nobodys_transcript(world: &World) {
    let recording = of_one_call(world, &[3]).await.remove(0);
    let mut tx = world.tx().await;
    let poll = WorkKind::PollTranscripts;
    for new in [true, false] {
        work::enqueue_at(&mut tx, poll, &[recording.id], at(7), at(1))
            .await
            .unwrap();
        let found = transcripts::find(&mut tx, &id(0, &intelligence(1)), &source(3), at(7)).await;
        assert_eq!(found.unwrap(), new);
    }
    let [found] = lease(&mut tx, 7, 100).await.try_into().unwrap();
    assert_eq!(found.source, Some(source(3)));
    let polls = work::lease(&mut tx, &[poll], holder(), Term::at(at(7), at(100)), 9).await;
    let [polled] = polls.unwrap().try_into().unwrap();
    assert_eq!(
        (polled.subject.as_str(), polled.enqueued_at),
        (recording.id.to_string().as_str(), at(1))
    );
    transcripts::bury(&mut tx, &found, "why").await.unwrap();
    assert!(
        !transcripts::find(&mut tx, &id(0, &intelligence(1)), &source(3), at(7))
            .await
            .unwrap()
    );
    assert!(
        !any_due(&mut tx, at(99)).await,
        "what is dead is not found again"
    );
    let backlog = work::backlog(&mut tx).await.unwrap();
    let kind = WorkKind::FetchTranscript.as_str();
    let waiting = backlog.iter().filter(|some| some.kind == kind);
    assert_eq!(
        waiting
            .map(|some| (some.state.as_str(), some.count))
            .collect::<Vec<_>>(),
        [("dead", 1)]
    );
}

async fn letting_go_takes_every_word_and_keeps_what_is_filed_elsewhere(world: &World) {
    let [gone, kept] = of_one_call(world, &[3, 6]).await.try_into().unwrap();
    let filed = (account(0), gt(1), call(1));
    let waiting = (account(0), gt(2), call(1));
    let elsewhere = (account(0), gt(3), call(2));
    let mut tx = world.tx().await;
    assert!(
        transcripts::hear(&mut tx, &event(&filed, None, None), at(0), at(0))
            .await
            .unwrap()
    );
    let [ours] = lease(&mut tx, 0, 100).await.try_into().unwrap();
    transcripts::file(&mut tx, &ours, &kept).await.unwrap();
    for ids in [&waiting, &elsewhere] {
        assert!(
            transcripts::hear(&mut tx, &event(ids, None, None), at(0), at(0))
                .await
                .unwrap()
        );
        utterances::insert(&mut tx, &ids.0, &ids.1, &piece("inbound_track", 1), at(0))
            .await
            .unwrap();
    }
    tell(&mut tx, &record(1), Some(&sid_of(&gone)), 0).await;
    tell(&mut tx, &record(2), Some(&sid_of(&kept)), 0).await;
    let leased = lease(&mut tx, 0, 100).await;
    let ours = leased
        .iter()
        .find(|lease| *lease.origin() == record(1))
        .unwrap();
    transcripts::forget(&mut tx, &[gone.id]).await.unwrap();
    assert!(
        matches!(
            transcripts::bury(&mut tx, ours, "why").await,
            Err(Error::LeaseLost)
        ),
        "whoever works on it finds it gone"
    );
    assert!(
        utterances::of(&mut tx, &account(0), &gt(2))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        utterances::of(&mut tx, &account(0), &gt(3))
            .await
            .unwrap()
            .len(),
        1
    );
    tx.commit().await.unwrap();
    let real_time = |number| Origin::RealTime(gt(number));
    let mut states = Vec::new();
    for origin in [
        real_time(1),
        real_time(2),
        real_time(3),
        record(1),
        record(2),
    ] {
        states.push(state(world, &origin).await);
    }
    assert_eq!(states, [FILED, NONE, DUE, PASSED, DUE]);
}

async fn the_dead_are_shown_and_revived(world: &World) {
    let [one, other] = of_one_call(world, &[3, 6]).await.try_into().unwrap();
    let ids = (account(0), gt(1), call(1));
    let mut tx = world.tx().await;
    tell(&mut tx, &record(1), Some(&sid_of(&one)), 0).await;
    tell(&mut tx, &record(2), Some(&sid_of(&other)), 1).await;
    tell(&mut tx, &intelligence(3), None, 2).await;
    transcripts::hear(&mut tx, &event(&ids, None, None), at(0), at(3))
        .await
        .unwrap();
    for lease in lease(&mut tx, 9, 100).await {
        transcripts::bury(&mut tx, &lease, "why").await.unwrap();
    }
    let dead = work::dead(&mut tx, 3).await.unwrap();
    assert_eq!(
        dead.iter()
            .map(|dead| dead.subject.clone())
            .collect::<Vec<_>>(),
        [record(1), record(2), intelligence(3)].map(|origin| id(0, &origin).to_string())
    );
    assert_eq!(
        (dead[0].recording.as_deref(), dead[0].last_error.as_deref()),
        (Some(one.source_ref.sid()), Some("why"))
    );
    assert_eq!(
        transcripts::revive(&mut tx, Some(&one), at(50))
            .await
            .unwrap(),
        2,
        "its own, and that of its call"
    );
    let leased = lease(&mut tx, 50, 100).await;
    let times: Vec<(i64, Timestamp)> = leased
        .iter()
        .map(|lease| (lease.lease.attempts, lease.told_at))
        .collect();
    assert_eq!(times, [(1, at(50)); 2]);
    assert_eq!(transcripts::revive(&mut tx, None, at(60)).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(
        [
            state(world, &record(1)).await,
            state(world, &intelligence(3)).await
        ],
        [DUE, DUE]
    );
    assert_ne!(state(world, &record(2)).await, DEAD);
}
