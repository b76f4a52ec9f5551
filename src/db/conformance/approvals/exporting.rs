//! The queries of exports and corrections.

use std::collections::BTreeSet;

use super::{
    super::{World, announcement, at, parsed, recording_id, source_ref, vouched},
    purpose, somebody,
};
use crate::{
    db::{Error, accept::Announcement, audit, exports, parties, recordings},
    evidence::NewEntry,
    model::{
        actor::{Actor, Initiator},
        id::SubjectId,
        subject::{Conversation, Party, PartyScope, Presence},
    },
};

every_database!(
    labels_are_changed_one_by_one,
    a_person_is_found_in_every_conversation_of_theirs,
    the_log_is_read_about_a_few_recordings,
);

async fn labels_are_changed_one_by_one(world: &World) {
    let id = world.one_announced().await;
    let change = async |label: &str, value: Option<&str>| {
        let mut tx = world.tx().await;
        let changes = [(parsed(label), value.map(|value| value.parse().unwrap()))].into();
        let changed = recordings::change_labels(&mut tx, id, &changes)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        changed
            .into_iter()
            .map(|label| label.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        change("queue", Some("sales")).await,
        [] as [&str; 0],
        "it is so already"
    );
    assert_eq!(change("team", Some("n\"örd")).await, ["team"]);
    assert_eq!(change("queue", None).await, ["queue"]);
    assert_eq!(change("queue", None).await, [] as [&str; 0]);
    assert_eq!(
        world.find(id).await.unwrap().labels,
        [(parsed("team"), "n\"örd".to_owned())].into()
    );
    let mut tx = world.tx().await;
    recordings::mark_shredded(&mut tx, &[id], at(1))
        .await
        .unwrap();
    let shredded = recordings::change_labels(&mut tx, id, &[(parsed("team"), None)].into()).await;
    assert!(matches!(shredded, Err(Error::Stale(_))));
}

async fn a_person_is_found_in_every_conversation_of_theirs(world: &World) {
    let sid = |kind: &str, number: u32| format!("{kind}{number:032x}");
    let told = |number: u32, call: Option<u32>, conference: Option<u32>| Announcement {
        call: call.map(|call| parsed(&sid("CA", call))),
        conference: conference.map(|conference| parsed(&sid("CF", conference))),
        ..announcement(number, "completed")
    };
    let all = vec![
        told(0, Some(1), None),
        told(1, Some(2), Some(9)),
        told(2, Some(3), Some(9)),
        told(3, Some(4), None),
        told(4, None, None),
    ];
    world.told(all, at(0)).await;
    let subject = SubjectId::random(&mut rand::rng());
    let other = SubjectId::random(&mut rand::rng());
    let mut tx = world.tx().await;
    for (conversation, subject) in [
        (sid("CA", 1), subject),
        (sid("CA", 2), subject),
        (sid("CF", 9), subject),
        (sid("CA", 4), other),
    ] {
        let conversation: Conversation = parsed(&conversation);
        parties::name(
            &mut tx,
            &conversation,
            &PartyScope::Every,
            &[Party {
                leg: parsed("caller"),
                subject: Some(subject),
                channel: None,
                presence: Presence::ALWAYS,
            }],
            &vouched(),
            at(0),
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    let mut tx = world.db.read().await.unwrap();
    let theirs = [0, 1, 2].map(recording_id);
    let everywhere = BTreeSet::new();
    let only = BTreeSet::from([source_ref(1, 1).account().clone()]);
    let of_one = exports::recordings(&mut tx, subject, &only, None, 9).await;
    assert_eq!(of_one.unwrap(), [theirs[1]], "and no word of the others");
    assert_eq!(
        exports::recordings(&mut tx, subject, &everywhere, None, 9)
            .await
            .unwrap(),
        theirs
    );
    assert_eq!(
        exports::recordings(&mut tx, subject, &everywhere, None, 2)
            .await
            .unwrap(),
        theirs[..2]
    );
    assert_eq!(
        exports::recordings(&mut tx, subject, &everywhere, Some(theirs[1]), 9)
            .await
            .unwrap(),
        theirs[2..]
    );
    assert_eq!(
        exports::recordings(&mut tx, other, &everywhere, None, 9)
            .await
            .unwrap(),
        [recording_id(3)]
    );
}

async fn the_log_is_read_about_a_few_recordings(world: &World) {
    let subject = SubjectId::random(&mut rand::rng());
    let other = SubjectId::random(&mut rand::rng());
    let entries: Vec<NewEntry> = (0..4)
        .map(|number| {
            NewEntry::work_retried(at(0), Initiator::Operator, Some(recording_id(number)), 1)
        })
        .chain([subject, other].map(|subject| {
            NewEntry::subject_exported(
                at(7),
                Initiator::Recorded(Actor::Principal(somebody())),
                subject,
                &purpose(),
                1,
                0,
            )
        }))
        .collect();
    let mut tx = world.tx().await;
    audit::append_all(&mut tx, &entries).await.unwrap();
    let mut read = async |range| {
        let found = audit::about(&mut tx, &[recording_id(1), recording_id(3)], subject, range)
            .await
            .unwrap();
        found.into_iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(read((0, 9)).await, [2, 4, 5]);
    assert_eq!(read((2, 4)).await, [4]);
    assert_eq!(read((5, 9)).await, [] as [i64; 0]);
    assert_eq!(audit::broken_glass_since(&mut tx, at(0)).await.unwrap(), 0);
}
