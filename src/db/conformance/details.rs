//! Sealed details of participants: stored with recordings, and pending.

use super::{World, announcement, at, recording_id, vouched};
use crate::{
    db::{
        details, parties, recordings,
        waiting::{self, PendingPlace},
    },
    model::{
        id::RecordingId,
        name::LegName,
        subject::{Conversation, Party, PartyScope, Presence},
    },
};

every_database!(
    what_is_sealed_of_a_recording_is_replaced_and_taken_away,
    a_conversation_has_the_recordings_whose_parties_are_its_own,
    what_waits_is_found_by_place_and_cleared,
    what_waits_for_too_long_or_for_the_shredded_is_cleared,
    a_channel_is_noted_once,
);

fn call(number: u32) -> Conversation {
    Conversation::Call(format!("CA{number:032x}").parse().unwrap())
}

fn conference(number: u32) -> Conversation {
    Conversation::Conference(format!("CF{number:032x}").parse().unwrap())
}

fn leg(name: &str) -> LegName {
    name.parse().unwrap()
}

fn place(conversation: &Conversation, name: &str) -> PendingPlace {
    PendingPlace {
        conversation: conversation.clone(),
        scope: PartyScope::Every,
        leg: leg(name),
    }
}

async fn named(world: &World, conversation: &Conversation, all: &[(&str, Option<u8>)], at_ms: i64) {
    let party = |(name, channel): &(&str, Option<u8>)| Party {
        leg: leg(name),
        subject: None,
        channel: *channel,
        presence: Presence::ALWAYS,
    };
    let mut tx = world.tx().await;
    parties::name(
        &mut tx,
        conversation,
        &PartyScope::Every,
        &all.iter().map(party).collect::<Vec<_>>(),
        &vouched(),
        at(at_ms),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

async fn sealed(world: &World, all: &[(Option<u32>, Option<u32>)]) -> Vec<RecordingId> {
    let told = |(number, (call_sid, conference_sid)): (u32, &(Option<u32>, Option<u32>))| {
        crate::db::accept::Announcement {
            call: call_sid.map(|number| format!("CA{number:032x}").parse().unwrap()),
            conference: conference_sid.map(|number| format!("CF{number:032x}").parse().unwrap()),
            ..announcement(number, "completed")
        }
    };
    world.told((0..).zip(all).map(told).collect(), at(0)).await;
    let ids: Vec<RecordingId> = (0..u32::try_from(all.len()).unwrap())
        .map(recording_id)
        .collect();
    let mut tx = world.tx().await;
    for id in &ids {
        recordings::mark_sealed(&mut tx, *id, at(1)).await.unwrap();
    }
    tx.commit().await.unwrap();
    ids
}

async fn what_is_sealed_of_a_recording_is_replaced_and_taken_away(world: &World) {
    let ids = sealed(world, &[(Some(1), None), (Some(2), None)]).await;
    let mut tx = world.tx().await;
    for bytes in [&[1, 2][..], &[0, 255]] {
        details::put(&mut tx, ids[0], bytes, at(3)).await.unwrap();
    }
    assert_eq!(
        details::find(&mut tx, &ids).await.unwrap(),
        [(ids[0], vec![0, 255])].into()
    );
    assert_eq!(
        (
            details::is_there(&mut tx, ids[0]).await.unwrap(),
            details::is_there(&mut tx, ids[1]).await.unwrap()
        ),
        (true, false)
    );
    details::remove(&mut tx, &[]).await.unwrap();
    details::remove(&mut tx, &ids).await.unwrap();
    assert!(details::find(&mut tx, &ids).await.unwrap().is_empty());
    tx.commit().await.unwrap();
}

async fn a_conversation_has_the_recordings_whose_parties_are_its_own(world: &World) {
    let ids = sealed(
        world,
        &[
            (Some(1), None),
            (Some(1), Some(7)),
            (None, Some(7)),
            (Some(2), None),
        ],
    )
    .await;
    let of = async |conversation: Conversation| {
        let mut tx = world.tx().await;
        details::lock(&mut tx, &conversation).await.unwrap();
        let mut found = details::sealed_of(&mut tx, &PartyScope::Every, &conversation)
            .await
            .unwrap();
        found.sort_unstable_by_key(|id| ids.iter().position(|known| known == id));
        found
    };
    assert_eq!(
        of(call(1)).await,
        ids[..2],
        "nobody is named in the conference"
    );
    named(world, &conference(7), &[("caller", None)], 1).await;
    assert_eq!(of(call(1)).await, ids[..1]);
    assert_eq!(of(conference(7)).await, ids[1..3]);
    let mut tx = world.tx().await;
    recordings::mark_shredded(&mut tx, &ids[1..2], at(2))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(of(conference(7)).await, ids[2..3]);
    assert!(of(call(3)).await.is_empty());
}

async fn what_waits_is_found_by_place_and_cleared(world: &World) {
    named(world, &call(1), &[("caller", None), ("callee", None)], 1).await;
    named(world, &call(2), &[("caller", None)], 1).await;
    let mut tx = world.tx().await;
    for conversation in [call(1), call(2)] {
        waiting::put(&mut tx, &place(&conversation, "caller"), &[7])
            .await
            .unwrap();
    }
    assert!(
        waiting::put(&mut tx, &place(&call(2), "callee"), &[7])
            .await
            .is_err(),
        "there is no such place"
    );
    assert_eq!(
        waiting::find(&mut tx, &PartyScope::Every, &[call(1), call(3)])
            .await
            .unwrap(),
        [(place(&call(1), "caller"), vec![7])].into()
    );
    assert_eq!(
        waiting::clear(&mut tx, &PartyScope::Every, &[call(1), call(3)])
            .await
            .unwrap(),
        [call(1)]
    );
    assert_eq!(
        waiting::clear(&mut tx, &PartyScope::Every, &[call(1)])
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        waiting::find(&mut tx, &PartyScope::Every, &[call(1), call(2)])
            .await
            .unwrap()
            .into_keys()
            .collect::<Vec<_>>(),
        [place(&call(2), "caller")]
    );
    tx.commit().await.unwrap();
}

async fn what_waits_for_too_long_or_for_the_shredded_is_cleared(world: &World) {
    let ids = sealed(world, &[(Some(1), Some(7)), (Some(2), None)]).await;
    let all = [(call(1), 1), (conference(7), 5), (call(2), 9)];
    for (conversation, at_ms) in &all {
        named(
            world,
            conversation,
            &[("caller", None), ("callee", None)],
            *at_ms,
        )
        .await;
    }
    let mut tx = world.tx().await;
    let wait = async |tx: &mut crate::db::Tx| {
        for (conversation, _) in &all {
            for name in ["caller", "callee"] {
                waiting::put(tx, &place(conversation, name), &[7])
                    .await
                    .unwrap();
            }
        }
    };
    wait(&mut tx).await;
    assert_eq!(
        waiting::clear_older(&mut tx, at(5)).await.unwrap(),
        [call(1)]
    );
    assert_eq!(
        waiting::clear_older(&mut tx, at(9)).await.unwrap(),
        [conference(7)]
    );
    wait(&mut tx).await;
    assert_eq!(waiting::clear_of(&mut tx, &[]).await.unwrap(), []);
    assert_eq!(
        waiting::clear_of(&mut tx, &ids[..1]).await.unwrap(),
        [call(1), conference(7)]
    );
    assert_eq!(waiting::clear_of(&mut tx, &ids).await.unwrap(), [call(2)]);
    tx.commit().await.unwrap();
}

async fn a_channel_is_noted_once(world: &World) {
    let channels = async || {
        let mut tx = world.tx().await;
        let all = parties::of(&mut tx, &PartyScope::Every, &[call(1)])
            .await
            .unwrap()
            .remove(&call(1))
            .unwrap();
        all.into_iter()
            .map(|party| party.channel)
            .collect::<Vec<_>>()
    };
    named(world, &call(1), &[("callee", None), ("caller", Some(1))], 1).await;
    assert_eq!(channels().await, [None, Some(1)]);
    named(
        world,
        &call(1),
        &[("callee", Some(2)), ("caller", Some(2))],
        2,
    )
    .await;
    assert_eq!(channels().await, [Some(2), Some(1)]);
    named(world, &call(1), &[("callee", None), ("caller", None)], 3).await;
    assert_eq!(channels().await, [Some(2), Some(1)]);
}
