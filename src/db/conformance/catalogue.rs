//! The catalogue: listing, the life of a recording, its artefacts.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{World, announcement, at, parsed, recording_id};
use crate::{
    db::{
        Error,
        accept::Announcement,
        recordings::{self, RecordingFilter, SealedArtefact},
    },
    model::{
        artefact::{Artefact, Leg},
        id::{ObjectId, RecordingId},
        media::MediaKind,
        recording::{Recording, RecordingState},
        sid::AccountSid,
        time::Timestamp,
    },
};

every_database!(
    every_combination_of_filters_pages_through_exactly_what_it_names,
    pages_at_the_edges,
    what_arrives_while_somebody_pages_moves_nothing,
    what_is_not_there_is_not_found,
    a_row_whose_kind_is_not_what_its_sid_says_is_refused,
    states_are_counted,
    only_an_announced_recording_becomes_sealed,
    whatever_its_state_a_recording_is_shredded_once,
    artefacts_come_back_as_they_were,
    an_object_belongs_to_one_artefact,
);

const STATES: [RecordingState; 5] = [
    RecordingState::Announced,
    RecordingState::Absent,
    RecordingState::Failed,
    RecordingState::Sealed,
    RecordingState::Shredded,
];
const COUNT: u32 = 90;

/// Inserts ninety recordings: three accounts, two tiers, all states, eighteen at each of five
/// times. Returns them newest first, as a list does.
async fn stocked(world: &World) -> Vec<Recording> {
    for hour in 0..5 {
        let some = (0..COUNT)
            .filter(|number| number / 2 % 5 == hour)
            .map(|number| {
                let state = state_of(number);
                let word = if matches!(state, RecordingState::Absent | RecordingState::Failed) {
                    state.as_str()
                } else {
                    "completed"
                };
                let tier = parsed(if number % 4 == 0 {
                    "restricted"
                } else {
                    "standard"
                });
                Announcement {
                    tier,
                    ..announcement(number, word)
                }
            });
        world.told(some.collect(), hours(hour.into())).await;
    }
    let mut tx = world.tx().await;
    for number in 0..COUNT {
        let id = recording_id(number);
        match state_of(number) {
            RecordingState::Sealed => drop(
                recordings::mark_sealed(&mut tx, id, hours(9))
                    .await
                    .unwrap(),
            ),
            RecordingState::Shredded => assert!(
                recordings::mark_shredded(&mut tx, &[id], hours(9))
                    .await
                    .unwrap()
                    .contains(&id)
            ),
            RecordingState::Announced | RecordingState::Absent | RecordingState::Failed => {}
        }
    }
    tx.commit().await.unwrap();
    let mut all = Vec::new();
    for number in 0..COUNT {
        all.push(world.find(recording_id(number)).await.unwrap());
    }
    all.sort_by_key(|recording| {
        std::cmp::Reverse((recording.announced_at, recording.id.to_string()))
    });
    all
}

fn state_of(number: u32) -> RecordingState {
    STATES[usize::try_from(number % 7 % 5).unwrap()]
}

fn hours(hours: i64) -> Timestamp {
    at(hours * 3_600_000)
}

fn account(number: u32) -> AccountSid {
    announcement(number, "completed")
        .source_ref
        .account()
        .clone()
}

/// Reads all pages, `limit` rows at a time.
async fn paged(world: &World, filter: &RecordingFilter, limit: i64) -> Vec<Recording> {
    let mut tx = world.db.read().await.unwrap();
    let mut filter = filter.clone();
    let mut all = Vec::new();
    loop {
        let page = recordings::list(&mut tx, &filter, limit).await.unwrap();
        assert!(page.len() <= usize::try_from(limit).unwrap());
        let Some(last) = page.last() else { return all };
        filter.after = Some(filter.sort.place(last));
        all.extend(page);
    }
}

async fn every_combination_of_filters_pages_through_exactly_what_it_names(world: &World) {
    let all = stocked(world).await;
    let states = [None].into_iter().chain(STATES.map(Some));
    let tiers = || {
        [
            None,
            Some(parsed("standard")),
            Some(parsed("restricted")),
            Some(parsed("no-such-tier")),
        ]
    };
    // Times of announcements, to test which end of the range is included.
    let times = [None, Some(hours(1)), Some(hours(3))];
    let accounts = [
        vec![],
        vec![account(0)],
        vec![account(0), account(1)],
        vec![parsed(&format!("AC{}", "f".repeat(32)))],
    ];
    let accounts = accounts.map(BTreeSet::from_iter);
    let mut hits = 0;
    for state in states {
        for tier in tiers() {
            for (since, until) in times
                .iter()
                .flat_map(|since| times.iter().map(|until| (*since, *until)))
            {
                for accounts in &accounts {
                    let filter = RecordingFilter {
                        state,
                        tier: tier.clone(),
                        since,
                        until,
                        accounts: accounts.clone(),
                        ..RecordingFilter::default()
                    };
                    let fits = |recording: &&Recording| {
                        state.is_none_or(|state| recording.state == state)
                            && tier.as_ref().is_none_or(|tier| recording.tier == *tier)
                            && since.is_none_or(|since| recording.announced_at >= since)
                            && until.is_none_or(|until| recording.announced_at < until)
                            && (accounts.is_empty() || accounts.contains(recording.account()))
                    };
                    let expected: Vec<&Recording> = all.iter().filter(fits).collect();
                    hits += expected.len();
                    let found = paged(world, &filter, 7).await;
                    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
                }
            }
        }
    }
    assert!(hits > 1000, "the filters find something: {hits}");
}

async fn pages_at_the_edges(world: &World) {
    let all = stocked(world).await;
    let ids = |recordings: &[Recording]| {
        recordings
            .iter()
            .map(|recording| recording.id)
            .collect::<Vec<_>>()
    };
    for limit in [1, 17, 18, 19, 89, 90, 91] {
        assert_eq!(
            ids(&paged(world, &RecordingFilter::default(), limit).await),
            ids(&all),
            "{limit} at a time"
        );
    }
    assert!(
        paged(world, &RecordingFilter::default(), 0)
            .await
            .is_empty()
    );
    let last = all.last().unwrap();
    let beyond = RecordingFilter {
        after: Some((last.announced_at, last.id)),
        ..RecordingFilter::default()
    };
    assert!(paged(world, &beyond, 10).await.is_empty());
}

async fn what_arrives_while_somebody_pages_moves_nothing(world: &World) {
    let all = stocked(world).await;
    let mut tx = world.db.read().await.unwrap();
    let first = recordings::list(&mut tx, &RecordingFilter::default(), 30)
        .await
        .unwrap();
    world
        .told(vec![announcement(COUNT, "completed")], hours(10))
        .await;
    let last = first.last().unwrap();
    let rest = RecordingFilter {
        after: Some((last.announced_at, last.id)),
        ..RecordingFilter::default()
    };
    let rest = recordings::list(&mut tx, &rest, 100).await.unwrap();
    let found: Vec<RecordingId> = first
        .iter()
        .chain(&rest)
        .map(|recording| recording.id)
        .collect();
    assert_eq!(
        found,
        all.iter().map(|recording| recording.id).collect::<Vec<_>>()
    );
}

async fn a_row_whose_kind_is_not_what_its_sid_says_is_refused(world: &World) {
    let ids = world.announced(2).await;
    world
        .sql(&[
            &format!("UPDATE recordings SET kind = 'message' WHERE id = '{}'", ids[0]),
            &format!(
                "UPDATE recordings SET source_sid = 'SM' || SUBSTR(source_sid, 3), kind = 'message' WHERE id = '{}'",
                ids[1]
            ),
        ])
        .await;
    let mut tx = world.tx().await;
    let refused = recordings::find(&mut tx, ids[0]).await;
    assert!(
        matches!(
            &refused,
            Err(Error::Inconsistent { table: "recordings", column: "kind", id }) if *id == ids[0].to_string()
        ),
        "{refused:?}"
    );
    let message = recordings::find(&mut tx, ids[1]).await.unwrap().unwrap();
    assert_eq!(message.kind(), MediaKind::Message);
    assert!(message.source_ref.sid().starts_with("SM"));
}

async fn what_is_not_there_is_not_found(world: &World) {
    assert_eq!(world.find(recording_id(1)).await, None);
    let mut tx = world.tx().await;
    assert!(
        recordings::artefacts(&mut tx, recording_id(1))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!recordings::has_object(&mut tx, object()).await.unwrap());
    assert!(
        recordings::list(&mut tx, &RecordingFilter::default(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        recordings::count_by_state(&mut tx)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn states_are_counted(world: &World) {
    let all = stocked(world).await;
    let counted = recordings::count_by_state(&mut world.db.read().await.unwrap())
        .await
        .unwrap();
    for state in STATES {
        let expected = i64::try_from(
            all.iter()
                .filter(|recording| recording.state == state)
                .count(),
        )
        .unwrap();
        assert!(
            expected > 0 && counted.contains(&(state, expected)),
            "{state}"
        );
    }
    assert_eq!(counted.len(), STATES.len());
}

async fn only_an_announced_recording_becomes_sealed(world: &World) {
    for recording in stocked(world).await.iter().step_by(3) {
        let mut tx = world.tx().await;
        let sealed = recordings::mark_sealed(&mut tx, recording.id, hours(20)).await;
        tx.commit().await.unwrap();
        let now = world.find(recording.id).await.unwrap();
        if recording.state == RecordingState::Announced {
            sealed.unwrap();
            assert_eq!(
                (now.state, now.sealed_at),
                (RecordingState::Sealed, Some(hours(20)))
            );
        } else {
            assert!(
                matches!(sealed, Err(Error::Stale(_))),
                "{}",
                recording.state
            );
            assert_eq!(now, *recording);
        }
    }
    let unknown = recordings::mark_sealed(&mut world.tx().await, recording_id(COUNT), at(0)).await;
    assert!(matches!(unknown, Err(Error::Stale(_))));
}

async fn whatever_its_state_a_recording_is_shredded_once(world: &World) {
    let all = stocked(world).await;
    for state in STATES {
        let recording = all
            .iter()
            .find(|recording| recording.state == state)
            .unwrap();
        let mut tx = world.tx().await;
        let only = [recording.id];
        let others = [recording.id, recording_id(COUNT)];
        let fresh = recordings::mark_shredded(&mut tx, &others, hours(20))
            .await
            .unwrap();
        assert_eq!(
            fresh,
            only.into_iter()
                .filter(|_| state != RecordingState::Shredded)
                .collect(),
            "{state}"
        );
        assert_eq!(
            recordings::mark_shredded(&mut tx, &only, hours(21))
                .await
                .unwrap(),
            [].into()
        );
        tx.commit().await.unwrap();
        let now = world.find(recording.id).await.unwrap();
        let when = if state == RecordingState::Shredded {
            recording.shredded_at
        } else {
            Some(hours(20))
        };
        assert_eq!(
            (now.state, now.shredded_at, now.sealed_at),
            (RecordingState::Shredded, when, recording.sealed_at)
        );
    }
    assert_eq!(
        recordings::mark_shredded(&mut world.tx().await, &[recording_id(COUNT)], at(0))
            .await
            .unwrap(),
        [].into()
    );
}

fn object() -> ObjectId {
    ObjectId::random(&mut rand::rng())
}

fn artefact(recording: RecordingId) -> SealedArtefact {
    SealedArtefact {
        recording,
        leg: Leg::All,
        artefact: Artefact::Audio,
        object: Some(object()),
        inline: Bytes::new(),
        plain_len: 960_044,
        sealed_len: 960_544,
        sealed_sha256: "a".repeat(64),
        segment: 65_536,
        content_type: "audio/wav".into(),
        pack: None,
        pack_at: None,
    }
}

async fn artefacts_come_back_as_they_were(world: &World) {
    let ids = world.announced(2).await;
    let largest = SealedArtefact {
        plain_len: 0,
        sealed_len: i64::MAX.try_into().unwrap(),
        segment: u32::MAX,
        ..artefact(ids[1])
    };
    for (id, sealed) in ids.iter().zip([artefact(ids[0]), largest]) {
        let sealed_alone = std::slice::from_ref(&sealed);
        world.with_artefacts(sealed_alone).await.unwrap();
        let mut tx = world.tx().await;
        assert_eq!(
            recordings::artefacts(&mut tx, *id).await.unwrap(),
            std::slice::from_ref(&sealed)
        );
        assert!(
            recordings::has_object(&mut tx, sealed.object.unwrap())
                .await
                .unwrap()
        );
    }
    let mut tx = world.tx().await;
    let kept = recordings::artefacts(&mut tx, ids[1]).await.unwrap();
    let object = recordings::artefacts(&mut tx, ids[0]).await.unwrap()[0]
        .object
        .unwrap();
    recordings::remove_artefacts(&mut tx, ids[0]).await.unwrap();
    // Removing missing rows is no error: a removal may be repeated.
    recordings::remove_artefacts(&mut tx, ids[0]).await.unwrap();
    assert!(
        recordings::artefacts(&mut tx, ids[0])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!recordings::has_object(&mut tx, object).await.unwrap());
    assert_eq!(recordings::artefacts(&mut tx, ids[1]).await.unwrap(), kept);
}

async fn an_object_belongs_to_one_artefact(world: &World) {
    let ids = world.announced(2).await;
    let sealed = artefact(ids[0]);
    let alone = std::slice::from_ref(&sealed);
    world.with_artefacts(alone).await.unwrap();
    let taken = SealedArtefact {
        recording: ids[1],
        ..sealed
    };
    for sealed in [taken, artefact(ids[0]), artefact(recording_id(9))] {
        let refused = world.with_artefacts(&[sealed]).await;
        assert!(
            refused.is_err(),
            "the same object twice, a second audio, an unknown recording"
        );
    }
}
