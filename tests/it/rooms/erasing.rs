//! What Twilio has of a room goes: compositions, then tracks, then the identity.

use std::time::Duration;

use recvault::{
    demo::stand_in::{CompositionFacts, TrackFacts},
    flow::Reconciling,
};
use serde_json::{Value, json};

use super::{Meeting, keeping, matroska, recipe};
use crate::{
    buckets, s3_server,
    transcribing::work,
    viewing::policy,
    world::{Database, Recipe, TestVault},
};

async fn copies(vault: &TestVault, id: recvault::model::id::RecordingId) -> Vec<(String, String)> {
    let at_source = vault.details(id).await["at_source"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    at_source["copies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| (text(&copy["kind"]), text(&copy["state"])))
        .collect()
}

fn confirmed(kinds: &[&str]) -> Vec<(String, String)> {
    let line = |kind: &&str| ((*kind).to_owned(), "confirmed".to_owned());
    kinds.iter().map(line).collect()
}

impl TestVault {
    pub(super) async fn compared(&self) -> Value {
        let wanted = Reconciling {
            account: Some(self.account.clone()),
            since: None,
            dry_run: false,
        };
        let done = self.process.flow.reconciliation.reconcile(&wanted).await;
        let found = serde_json::to_value(done.unwrap().remove(0)).unwrap();
        assert_eq!(found["fault"], Value::Null, "{found}");
        found
    }
}

async fn a_person_who_leaves_is_gone_at_twilio(database: Database) {
    let vault = recipe(database, &policy()).by_hand().await;
    let meeting = Meeting::of(&vault);
    let (first, second) = (
        meeting.track(&vault, &meeting.alice),
        meeting.track(&vault, &meeting.alice),
    );
    let other = meeting.track(&vault, &meeting.bob);
    let made = meeting.composition(&vault);
    let one = vault.filmed(&first).await;
    let two = vault.filmed(&second).await;
    let bobs = vault.filmed(&other).await;
    let both = vault.composed(&made).await;

    vault.shred(one).await;
    work(&vault).await;
    assert_eq!(copies(&vault, one).await, confirmed(&["track"]));
    assert!(!vault.stand_in.keeps_track(&first));
    // The identity names the owner of another track still.
    let identity = |sid| vault.stand_in.room_identity(sid).unwrap();
    assert_eq!(identity(&meeting.alice), "alice");
    assert!(vault.stand_in.keeps_composition(&made));

    vault.revoked(json!({ "subject": "client:alice" })).await;
    work(&vault).await;
    vault.later().await;
    assert!(!vault.stand_in.keeps_track(&second) && !vault.stand_in.keeps_composition(&made));
    assert!(vault.stand_in.keeps_track(&other));
    assert_eq!(identity(&meeting.alice), meeting.alice.as_str());
    assert_eq!(identity(&meeting.bob), "bob");
    assert_eq!(
        copies(&vault, two).await,
        confirmed(&["participant", "track"])
    );
    assert_eq!(copies(&vault, both).await, confirmed(&["composition"]));
    let at_source = vault.details(two).await["at_source"].clone();
    assert_eq!(at_source["state"], "deleted");
    let left: Vec<bool> = at_source["copies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| copy["left_until"].is_null())
        .collect();
    assert_eq!(left, [true, false]);
    assert_eq!(vault.state(bobs).await, "sealed");
}

async fn a_track_waits_for_a_composition_that_is_being_made(database: Database) {
    let vault = recipe(database, &policy()).by_hand().await;
    let meeting = Meeting::of(&vault);
    let sid = meeting.track(&vault, &meeting.alice);
    let id = vault.filmed(&sid).await;
    let facts = CompositionFacts {
        status: "processing".to_owned(),
        ..CompositionFacts::new(&meeting.room)
    };
    let made = vault.stand_in.add_composition(&vault.account, facts);
    vault.shred(id).await;
    work(&vault).await;
    assert!(vault.stand_in.keeps_track(&sid));
    vault
        .stand_in
        .change_composition(&made, |facts| facts.status = "completed".to_owned());
    vault.later().await;
    assert!(!vault.stand_in.keeps_track(&sid));
    // The policy keeps compositions: it is not the track's.
    assert!(vault.stand_in.keeps_composition(&made));
}

async fn compositions_that_are_not_collected_go_with_a_shredded_track(database: Database) {
    let vault = Recipe {
        policy: keeping(&policy(), "\"video-track\""),
        ..recipe(database, &policy())
    }
    .by_hand()
    .await;
    let meeting = Meeting::of(&vault);
    let id = vault.filmed(&meeting.track(&vault, &meeting.alice)).await;
    let made = meeting.composition(&vault);
    vault.shred(id).await;
    work(&vault).await;
    assert!(!vault.stand_in.keeps_composition(&made));
    assert_eq!(
        copies(&vault, id).await,
        confirmed(&["composition", "participant", "track"])
    );
}

async fn lost_callbacks_are_found_in_the_lists(database: Database) {
    let vault = recipe(database, &policy()).by_hand().await;
    let meeting = Meeting::of(&vault);
    let tracks = [
        meeting.track(&vault, &meeting.alice),
        meeting.track(&vault, &meeting.bob),
    ];
    meeting.composition(&vault);
    let running = TrackFacts {
        status: "processing".to_owned(),
        ..TrackFacts::new(&meeting.room, &meeting.bob)
    };
    vault.stand_in.add_track(&vault.account, running);
    let told = vault.filmed(&tracks[0]).await;
    let found = vault.compared().await;
    assert_eq!(
        (&found["announced"], &found["listed"]),
        (&json!(2), &json!(4))
    );
    work(&vault).await;
    let list = format!("/v1/recordings?room={}", meeting.room);
    let list = vault.asks("auditor").get(&list).await.json();
    let states: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["state"])
        .collect();
    assert_eq!(states, ["sealed", "sealed", "sealed"]);
    assert_eq!(vault.compared().await["announced"], 0);

    // What is shredded here and still listed there is deleted there.
    vault.shred(told).await;
    work(&vault).await;
    assert!(!vault.stand_in.keeps_track(&tracks[0]));
    vault.stand_in.restore_track(&tracks[0], matroska(b"again"));
    assert_eq!(vault.compared().await["erased"], 1);
}

async fn what_was_deleted_there_before_it_was_fetched_is_a_ghost(database: Database) {
    let vault = recipe(database, &policy()).by_hand().await;
    let meeting = Meeting::of(&vault);
    let facts = TrackFacts {
        status: "deleted".to_owned(),
        media: None,
        ..TrackFacts::new(&meeting.room, &meeting.alice)
    };
    let sid = vault.stand_in.add_track(&vault.account, facts);
    let id = vault.told_track(&sid, "recording-completed").await;
    work(&vault).await;
    vault.clock.advance(Duration::from_secs(2 * 3600));
    let found = vault.compared().await;
    assert_eq!(found["ghost_recordings"], json!([id]));
}

on_both_databases!(
    a_person_who_leaves_is_gone_at_twilio,
    a_track_waits_for_a_composition_that_is_being_made,
    compositions_that_are_not_collected_go_with_a_shredded_track,
    lost_callbacks_are_found_in_the_lists,
    what_was_deleted_there_before_it_was_fetched_is_a_ghost,
);

#[tokio::test]
async fn a_film_in_the_teams_bucket_is_unknown_once_its_track_is_gone() {
    let s3 = s3_server::start();
    let vault = Recipe {
        home: buckets::configured(&s3.endpoint, &s3, s3.secret_key),
        ..recipe(Database::Sqlite, &policy())
    }
    .by_hand()
    .await;
    let meeting = Meeting::of(&vault);
    let [gone, lost] = [0, 1].map(|_| meeting.track(&vault, &meeting.bob));
    let id = vault.filmed(&gone).await;
    // Twilio forgets a deleted track after a month.
    let long_ago = recvault::model::time::Timestamp::from_millis(0);
    vault.stand_in.change_track(&gone, |facts| {
        facts.media = None;
        "deleted".clone_into(&mut facts.status);
        facts.deleted = Some(long_ago);
    });
    vault.shred(id).await;
    work(&vault).await;
    let expected = [
        ("object", "unknown"),
        ("participant", "confirmed"),
        ("track", "confirmed"),
    ];
    let expected = expected.map(|(kind, state)| (kind.to_owned(), state.to_owned()));
    assert_eq!(copies(&vault, id).await, expected);
    assert_eq!(vault.details(id).await["at_source"]["state"], "left");
    assert!(vault.stand_in.keeps_track(&lost));
}

#[tokio::test]
async fn a_film_in_the_teams_bucket_is_fetched_and_deleted_there() {
    let s3 = s3_server::start();
    let vault = Recipe {
        home: buckets::configured(&s3.endpoint, &s3, s3.secret_key),
        ..recipe(Database::Sqlite, &policy())
    }
    .by_hand()
    .await;
    let meeting = Meeting::of(&vault);
    let film = matroska(b"elsewhere");
    let folder = s3.root().join(s3.bucket).join("recordings");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("film.mkv"), &film).unwrap();
    let facts = TrackFacts {
        media: None,
        media_external_location: Some(format!("{}/{}/recordings/film.mkv", s3.endpoint, s3.bucket)),
        ..TrackFacts::new(&meeting.room, &meeting.alice)
    };
    let sid = vault.stand_in.add_track(&vault.account, facts);
    let id = vault.filmed(&sid).await;
    assert_eq!(vault.watched(id).await.body, film);
    vault.shred(id).await;
    work(&vault).await;
    assert!(!folder.join("film.mkv").exists());
    assert_eq!(
        copies(&vault, id).await,
        confirmed(&["object", "participant", "track"])
    );
}
