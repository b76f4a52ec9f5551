//! Video rooms: tracks and compositions are announced, fetched, sealed, played and withdrawn.

mod backfilled;
mod consent;
mod encrypted;
mod erasing;
mod shuffled;

use bytes::Bytes;
use recvault::{
    db::recordings,
    demo::stand_in::{CompositionFacts, SignedCallback, TrackFacts, matroska, mpeg_4},
    model::{
        id::RecordingId,
        sid::{CompositionSid, RoomParticipantSid, RoomSid, TrackRecordingSid},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    transcribing::work,
    viewing::{granted, policy},
    world::{Answer, Database, Recipe, TestVault},
};

const PATH: &str = "/twilio/video";

/// Returns a policy that keeps these kinds.
fn keeping(policy: &str, kinds: &str) -> String {
    let kinds = format!("[collection]\nkinds = [{kinds}]\n");
    policy.replacen("[collection]\n", &kinds, 1)
}

pub(crate) fn recipe(database: Database, policy: &str) -> Recipe {
    Recipe {
        policy: keeping(policy, "\"call\", \"video-track\", \"video-composition\""),
        twilio: "media_redirect_hosts = [\"127.0.0.1\"]",
        ..Recipe::on(database)
    }
}

async fn vault_on(database: Database) -> TestVault {
    recipe(database, &policy()).by_hand().await
}

fn room() -> RoomSid {
    format!("RM{}", hex::encode(rand::random::<[u8; 16]>()))
        .parse()
        .unwrap()
}

/// A room that has ended, with two people.
struct Meeting {
    room: RoomSid,
    alice: RoomParticipantSid,
    bob: RoomParticipantSid,
}

impl Meeting {
    fn of(vault: &TestVault) -> Self {
        let room = room();
        let join = |name: &str| {
            vault
                .stand_in
                .add_room_participant(&vault.account, &room, name)
        };
        let (alice, bob) = (join("alice"), join("bob"));
        Self { room, alice, bob }
    }

    fn track(&self, vault: &TestVault, whose: &RoomParticipantSid) -> TrackRecordingSid {
        let facts = TrackFacts::new(&self.room, whose);
        vault.stand_in.add_track(&vault.account, facts)
    }

    fn composition(&self, vault: &TestVault) -> CompositionSid {
        let facts = CompositionFacts::new(&self.room);
        vault.stand_in.add_composition(&vault.account, facts)
    }
}

impl TestVault {
    async fn told_video(&self, callback: &SignedCallback) -> Answer {
        self.process
            .api
            .form(PATH, &callback.body, &[&callback.signature])
            .await
    }

    async fn told_track(&self, sid: &TrackRecordingSid, event: &str) -> RecordingId {
        let url = self.process.public(PATH);
        let callback = self.stand_in.track_callback(sid, event, &url);
        assert_eq!(self.told_video(&callback).await.status, 204);
        RecordingId::of_source(self.made.vault, self.account.as_str(), sid.as_str())
    }

    async fn told_composition(&self, sid: &CompositionSid, event: &str) -> RecordingId {
        let url = self.process.public(PATH);
        let callback = self.stand_in.composition_callback(sid, event, &url);
        assert_eq!(self.told_video(&callback).await.status, 204);
        RecordingId::of_source(self.made.vault, self.account.as_str(), sid.as_str())
    }

    /// Announces and seals a track.
    async fn filmed(&self, sid: &TrackRecordingSid) -> RecordingId {
        let id = self.told_track(sid, "recording-completed").await;
        work(self).await;
        assert_eq!(self.state(id).await, "sealed");
        id
    }

    /// Announces and seals a composition.
    async fn composed(&self, sid: &CompositionSid) -> RecordingId {
        let id = self.told_composition(sid, "composition-available").await;
        work(self).await;
        assert_eq!(self.state(id).await, "sealed");
        id
    }

    /// Returns the file of a track or composition.
    async fn watched(&self, id: RecordingId) -> Answer {
        let grant = granted(self, id, "hear").await;
        let path = file_path(self, &grant);
        self.anybody().get(&path).await
    }

    /// Returns the addresses of the people in a recording.
    async fn people_in(&self, id: RecordingId) -> Vec<String> {
        let grant = granted(self, id, "hear").await;
        let path = file_path(self, &grant).replace("files/0", "parties.json");
        let shown = self.anybody().get(&path).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        let shown = shown.json();
        let parties = shown["parties"].as_array().unwrap();
        let mut people: Vec<String> = parties
            .iter()
            .map(|party| party["address"].as_str().unwrap_or("unknown").to_owned())
            .collect();
        people.sort();
        people
    }
}

fn file_path(vault: &TestVault, grant: &Value) -> String {
    let [only] = grant["file_urls"].as_array().unwrap().as_slice() else {
        panic!("{grant}")
    };
    vault.process.path_of(only.as_str().unwrap())
}

async fn a_track_is_fetched_without_credentials_and_played_by_range(database: Database) {
    let vault = vault_on(database).await;
    let meeting = Meeting::of(&vault);
    let film = matroska(&[7; 300_000]);
    let facts = TrackFacts {
        media: Some(film.clone()),
        ..TrackFacts::new(&meeting.room, &meeting.alice)
    };
    let sid = vault.stand_in.add_track(&vault.account, facts);
    let id = vault.told_track(&sid, "recording-started").await;
    assert_eq!(vault.details(id).await["source_status"], "processing");
    work(&vault).await;
    assert_eq!(vault.state(id).await, "announced");

    assert_eq!(vault.filmed(&sid).await, id);
    assert!(!vault.stand_in.saw_authorization_elsewhere());
    let shown = vault.details(id).await;
    assert_eq!(
        (&shown["kind"], &shown["room_sid"], &shown["author"]),
        (
            &json!("video-track"),
            &json!(meeting.room),
            &json!(meeting.alice.as_str().to_ascii_lowercase())
        )
    );
    let only = &shown["artefacts"][0];
    assert_eq!(
        (&only["artefact"], &only["content_type"], &only["bytes"]),
        (
            &json!("media/0"),
            &json!("video/x-matroska"),
            &json!(film.len())
        )
    );

    let whole = vault.watched(id).await;
    assert_eq!(whole.body, film);
    assert_eq!(
        (whole.status, whole.header("content-type")),
        (200, "video/x-matroska")
    );
    let grant = granted(&vault, id, "hear").await;
    let path = file_path(&vault, &grant);
    let range = [("range", "bytes=100000-100009")];
    let part = vault.anybody().with(Method::GET, &path, &range).await;
    assert_eq!(
        (part.status, part.header("content-range")),
        (206, format!("bytes 100000-100009/{}", film.len()).as_str())
    );
    assert_eq!(part.body, film[100_000..100_010]);
    let head = vault.anybody().with(Method::HEAD, &path, &[]).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, film.len().to_string().as_str())
    );
    assert_eq!(vault.people_in(id).await, ["client:alice"]);

    // A view of the text alone does not give the picture.
    let less = granted(&vault, id, "see").await;
    assert_eq!(less["file_urls"], json!([]));
    let list = format!("/v1/recordings?room={}", meeting.room);
    let list = vault.asks("auditor").get(&list).await.json();
    assert_eq!(list["items"][0]["id"], json!(id));
}

async fn sound_and_compositions_keep_their_types(database: Database) {
    let vault = vault_on(database).await;
    let meeting = Meeting::of(&vault);
    let facts = TrackFacts {
        kind: "audio".to_owned(),
        ..TrackFacts::new(&meeting.room, &meeting.bob)
    };
    let sound = vault.stand_in.add_track(&vault.account, facts);
    let facts = CompositionFacts {
        format: "mp4".to_owned(),
        media: Some(mpeg_4(b"all of them")),
        ..CompositionFacts::new(&meeting.room)
    };
    let both = vault.stand_in.add_composition(&vault.account, facts);
    let web = meeting.composition(&vault);
    let (sound, both, web) = (
        vault.filmed(&sound).await,
        vault.composed(&both).await,
        vault.composed(&web).await,
    );
    for (id, kind) in [
        (sound, "audio/x-matroska"),
        (both, "video/mp4"),
        (web, "video/webm"),
    ] {
        assert_eq!(vault.watched(id).await.header("content-type"), kind);
    }
    assert_eq!(vault.watched(both).await.body, mpeg_4(b"all of them"));
    assert_eq!(vault.people_in(both).await, ["client:alice", "client:bob"]);
    assert_eq!(vault.people_in(sound).await, ["client:bob"]);
}

async fn a_policy_that_does_not_keep_video_keeps_none(database: Database) {
    let vault = Recipe {
        policy: keeping(&policy(), "\"call\", \"video-composition\""),
        ..recipe(database, &policy())
    }
    .by_hand()
    .await;
    let meeting = Meeting::of(&vault);
    let id = vault
        .told_track(
            &meeting.track(&vault, &meeting.alice),
            "recording-completed",
        )
        .await;
    assert!(!vault.has_row(id).await);
    vault.composed(&meeting.composition(&vault)).await;
}

async fn what_is_no_whole_film_is_not_sealed_and_is_tried_again(database: Database) {
    let vault = vault_on(database).await;
    let meeting = Meeting::of(&vault);
    let film = matroska(&[1; 4000]);
    let cut = film.slice(..film.len() - 1);
    let html = Bytes::from_static(b"<!DOCTYPE html><html><body>gone</body></html>");
    for wrong in [cut, html] {
        let facts = TrackFacts {
            media: Some(wrong),
            ..TrackFacts::new(&meeting.room, &meeting.alice)
        };
        let sid = vault.stand_in.add_track(&vault.account, facts);
        let id = vault.told_track(&sid, "recording-completed").await;
        work(&vault).await;
        assert_eq!(vault.state(id).await, "announced");
        assert_eq!(vault.objects().await, []);

        vault
            .stand_in
            .change_track(&sid, |facts| facts.media = Some(film.clone()));
        let retried = vault.process.flow.dead_work.retry(Some(id)).await;
        retried.unwrap();
        work(&vault).await;
        vault.later().await;
        assert_eq!(vault.state(id).await, "sealed");
        vault.shred(id).await;
        work(&vault).await;
    }
}

async fn a_person_takes_their_tracks_and_every_composition_along(database: Database) {
    let vault = vault_on(database).await;
    let meeting = Meeting::of(&vault);
    let theirs = vault.filmed(&meeting.track(&vault, &meeting.alice)).await;
    let other = vault.filmed(&meeting.track(&vault, &meeting.bob)).await;
    let both = vault.composed(&meeting.composition(&vault)).await;
    let elsewhere = Meeting::of(&vault);
    let apart = vault.filmed(&elsewhere.track(&vault, &elsewhere.bob)).await;

    let late = meeting.composition(&vault);
    vault.revoked(json!({ "subject": "client:alice" })).await;
    for gone in [theirs, both] {
        assert_eq!(vault.state(gone).await, "shredded");
        assert!(vault.key_entry(gone).await.is_none());
    }
    for (kept, people) in [(other, ["client:bob"]), (apart, ["client:bob"])] {
        assert_eq!(vault.state(kept).await, "sealed");
        assert_eq!(vault.people_in(kept).await, people);
    }

    // What is composed of it later falls under it, too; of another room, not.
    vault.clock.advance(std::time::Duration::from_secs(3600));
    vault.stand_in.advance(std::time::Duration::from_secs(3600));
    let later = meeting.composition(&vault);
    for sid in [late, later] {
        let id = vault.told_composition(&sid, "composition-available").await;
        work(&vault).await;
        assert_eq!(vault.state(id).await, "shredded");
    }
}

async fn a_composition_belongs_to_those_whom_its_sources_name(database: Database) {
    let vault = vault_on(database).await;
    let meeting = Meeting::of(&vault);
    let carol = vault
        .stand_in
        .add_room_participant(&vault.account, &meeting.room, "carol");
    let bobs = meeting.track(&vault, &meeting.bob);
    let of = |sources: &[&str]| {
        let facts = CompositionFacts {
            audio_sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            ..CompositionFacts::new(&meeting.room)
        };
        vault.stand_in.add_composition(&vault.account, facts)
    };
    let two = of(&[meeting.alice.as_str(), bobs.as_str()]);
    let one = of(&[carol.as_str()]);
    let pattern = of(&["camera*"]);
    let unknown = of(&[carol.as_str(), &format!("RT{}", "9".repeat(32))]);
    let (two, one) = (vault.composed(&two).await, vault.composed(&one).await);
    let (pattern, unknown) = (
        vault.composed(&pattern).await,
        vault.composed(&unknown).await,
    );
    let everybody = ["client:alice", "client:bob", "client:carol"];
    assert_eq!(vault.people_in(two).await, everybody[..2]);
    assert_eq!(vault.people_in(one).await, everybody[2..]);
    for all in [pattern, unknown] {
        assert_eq!(vault.people_in(all).await, everybody);
    }
    vault.process.flow.vault.make_durable().await.unwrap();
    let (_, process, _ground) = crate::restoring::rebuilt(&vault, database).await;
    let rebuilt = recordings::find(&mut process.db.read().await.unwrap(), one).await;
    assert_eq!(rebuilt.unwrap().unwrap().shows.unwrap().len(), 1);
}

async fn a_revocation_reaches_the_compositions_that_show_the_person(database: Database) {
    let vault = vault_on(database).await;
    let meeting = Meeting::of(&vault);
    let of = |sources: &[&str]| {
        let facts = CompositionFacts {
            audio_sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            ..CompositionFacts::new(&meeting.room)
        };
        vault.stand_in.add_composition(&vault.account, facts)
    };
    let hers = vault.composed(&of(&[meeting.alice.as_str()])).await;
    let his = vault.composed(&of(&[meeting.bob.as_str()])).await;
    vault.revoked(json!({ "subject": "client:alice" })).await;
    assert_eq!(vault.state(hers).await, "shredded");
    assert_eq!(vault.state(his).await, "sealed");
    // One that comes later, too.
    let (late, other) = (of(&[meeting.alice.as_str()]), of(&[meeting.bob.as_str()]));
    for (sid, state) in [(late, "shredded"), (other, "sealed")] {
        let id = vault.told_composition(&sid, "composition-available").await;
        work(&vault).await;
        assert_eq!(vault.state(id).await, state);
    }
}

async fn any_order_and_repetition_of_callbacks_is_one_recording(database: Database) {
    let vault = vault_on(database).await;
    let meeting = Meeting::of(&vault);
    let sid = meeting.track(&vault, &meeting.alice);
    let url = vault.process.public(PATH);
    let account = &vault.account;
    for event in ["room-ended", "room-created"] {
        let callback = vault
            .stand_in
            .room_callback(account, &meeting.room, event, &url);
        assert_eq!(vault.told_video(&callback).await.status, 204);
    }
    for event in [
        "recording-completed",
        "recording-started",
        "recording-completed",
    ] {
        vault.told_track(&sid, event).await;
    }
    let id = vault.filmed(&sid).await;
    vault.told_track(&sid, "recording-failed").await;
    vault.told_track(&sid, "recording-started").await;
    work(&vault).await;
    assert_eq!(vault.state(id).await, "sealed");
    assert_eq!(vault.count("recording.sealed").await, 1);
    assert_eq!(vault.objects().await.len(), 1);
    let forged = vault
        .stand_in
        .track_callback(&sid, "recording-completed", &url);
    let answer = vault
        .process
        .api
        .form(PATH, &forged.body, &["AAAAAAAAAAAAAAAAAAAAAAAAAAA="])
        .await;
    assert_eq!(answer.status, 403);
}

on_both_databases!(
    a_track_is_fetched_without_credentials_and_played_by_range,
    sound_and_compositions_keep_their_types,
    a_policy_that_does_not_keep_video_keeps_none,
    what_is_no_whole_film_is_not_sealed_and_is_tried_again,
    a_person_takes_their_tracks_and_every_composition_along,
    a_composition_belongs_to_those_whom_its_sources_name,
    a_revocation_reaches_the_compositions_that_show_the_person,
    any_order_and_repetition_of_callbacks_is_one_recording,
);
