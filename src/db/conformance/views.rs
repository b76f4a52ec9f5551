//! The queries of views and reclassification.

use bytes::Bytes;

use super::{World, announcement, at, parsed, recording_id};
use crate::{
    db::{
        Error,
        accept::Announcement,
        artefacts,
        recordings::{self, SealedArtefact},
    },
    model::{
        artefact::{Artefact, Leg},
        id::{ObjectId, RecordingId, SubjectId},
        name::Tier,
        subject::Conversation,
    },
};

every_database!(
    a_newer_transcript_takes_the_place_of_the_older,
    only_a_sealed_recording_is_locked,
    a_recording_is_sealed_in_the_tier_it_is_in_by_then,
    a_conversation_has_its_own_recordings_and_those_who_are_known,
);

fn transcript(recording: RecordingId) -> SealedArtefact {
    SealedArtefact {
        recording,
        leg: Leg::All,
        artefact: Artefact::Transcript,
        object: Some(ObjectId::random(&mut rand::rng())),
        inline: Bytes::new(),
        plain_len: 10,
        sealed_len: 116,
        sealed_sha256: "b".repeat(64),
        segment: 16_384,
        content_type: "application/json".into(),
        pack: None,
        pack_at: None,
    }
}

async fn a_newer_transcript_takes_the_place_of_the_older(world: &World) {
    let ids = world.announced(2).await;
    let audio = SealedArtefact {
        artefact: Artefact::Audio,
        ..transcript(ids[0])
    };
    let first = transcript(ids[0]);
    let second = transcript(ids[0]);
    let other = transcript(ids[1]);
    let alone = std::slice::from_ref(&audio);
    world.with_artefacts(alone).await.unwrap();
    let mut replaced = Vec::new();
    for sealed in [&first, &other, &second] {
        let older = world.db.unit("a test", async |mut unit| {
            unit.without_entry("a test");
            artefacts::replace(&mut unit, sealed, at(1)).await
        });
        replaced.push(older.await.unwrap());
    }
    assert_eq!(replaced, [None, None, first.object]);
    let mut tx = world.tx().await;
    assert_eq!(
        recordings::artefacts(&mut tx, ids[0]).await.unwrap(),
        [audio, second]
    );
    assert_eq!(
        recordings::artefacts(&mut tx, ids[1]).await.unwrap(),
        [other]
    );
    assert!(
        !recordings::has_object(&mut tx, first.object.unwrap())
            .await
            .unwrap()
    );
}

async fn only_a_sealed_recording_is_locked(world: &World) {
    let id = world.one_announced().await;
    let locked = async || recordings::lock_sealed(&mut world.tx().await, id).await;
    assert!(matches!(locked().await, Err(Error::Stale(_))));
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, id, at(1)).await.unwrap();
    tx.commit().await.unwrap();
    let before = world.find(id).await;
    locked().await.unwrap();
    assert_eq!(world.find(id).await, before);
    let mut tx = world.tx().await;
    recordings::mark_shredded(&mut tx, &[id], at(2))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(locked().await, Err(Error::Stale(_))));
    let unknown = recordings::lock_sealed(&mut world.tx().await, recording_id(9)).await;
    assert!(matches!(unknown, Err(Error::Stale(_))));
}

async fn a_recording_is_sealed_in_the_tier_it_is_in_by_then(world: &World) {
    let id = world.one_announced().await;
    let (from, to): (Tier, Tier) = (world.find(id).await.unwrap().tier, parsed("secret"));
    let mut tx = world.tx().await;
    recordings::set_tier(&mut tx, id, &from, &to).await.unwrap();
    assert_eq!(
        recordings::mark_sealed(&mut tx, id, at(1)).await.unwrap(),
        to
    );
}

async fn a_conversation_has_its_own_recordings_and_those_who_are_known(world: &World) {
    let call: Conversation = format!("CA{}", "7".repeat(32)).parse().unwrap();
    let conference: Conversation = format!("CF{}", "8".repeat(32)).parse().unwrap();
    let call_sid = parsed(call.as_str());
    let conference_sid = parsed(conference.as_str());
    let told = |number, call, conference| Announcement {
        call,
        conference,
        ..announcement(number, "completed")
    };
    let all = vec![
        told(0, Some(call_sid), None),
        told(1, Some(parsed(call.as_str())), Some(conference_sid)),
        told(2, None, Some(parsed(conference.as_str()))),
        told(3, None, None),
    ];
    world.told(all, at(0)).await;
    let mut tx = world.tx().await;
    for (conversation, expected) in [(&call, vec![0]), (&conference, vec![1, 2])] {
        let mut found = recordings::of_conversation(&mut tx, conversation)
            .await
            .unwrap();
        found.sort_by_key(|recording| recording.id);
        let mut expected: Vec<_> = expected.into_iter().map(recording_id).collect();
        expected.sort();
        assert_eq!(
            found
                .iter()
                .map(|recording| recording.id)
                .collect::<Vec<_>>(),
            expected
        );
        assert!(
            found
                .iter()
                .all(|recording| recording.conversation().as_ref() == Some(conversation)),
            "as the recording itself says it"
        );
    }
    drop(tx);
    let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
    let one = SubjectId::of_hash(&[1; 32]);
    let other = SubjectId::of_hash(&[2; 32]);
    let row = |conversation: &Conversation, leg: &str, subject: &str| {
        format!(
            "INSERT INTO parties (conversation, account, leg, subject, named_at) VALUES ('{conversation}', '*', '{leg}', {subject}, 1)"
        )
    };
    let rows = [
        row(&call, "caller", &format!("'{one}'")),
        row(&call, "callee", "NULL"),
        row(&call, "third", &format!("'{one}'")),
        row(&conference, "host", &format!("'{other}'")),
    ];
    world.sql(&rows.each_ref().map(String::as_str)).await;
    let mut tx = world.tx().await;
    assert_eq!(
        recordings::subjects_in(&mut tx, &account, &call)
            .await
            .unwrap(),
        [one].into()
    );
    assert_eq!(
        recordings::subjects_in(&mut tx, &account, &conference)
            .await
            .unwrap(),
        [other].into()
    );
    let nobody = format!("CA{}", "9".repeat(32)).parse().unwrap();
    assert_eq!(
        recordings::subjects_in(&mut tx, &account, &nobody)
            .await
            .unwrap(),
        [].into()
    );
}
