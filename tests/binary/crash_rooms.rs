//! The executable dies while it takes a room, or lets go of one of its people, and starts again.

use recvault::{
    config::SHIPPED_POLICY,
    demo::stand_in::{CompositionFacts, TrackFacts},
    model::{
        id::RecordingId,
        sid::{CompositionSid, RoomParticipantSid, RoomSid, TrackRecordingSid},
    },
};
use serde_json::json;

use crate::{
    client::{Client, eventually},
    database::Kind,
    world::{World, digits},
};

points! {
    dies_and_is_told_again:
    dies_with_a_track_in_its_hands at "accept.before_commit";
    dies_between_commit_and_answer_of_a_track at "accept.after_commit";
    dies_before_it_fetches_a_track at "fetch.leased";
    dies_with_a_film_and_no_key at "deposit.after_store";
    dies_with_a_key_of_a_film_that_is_not_committed at "deposit.before_commit";
    dies_when_a_film_is_sealed at "deposit.after_commit";
    dies_when_the_copies_of_a_room_are_listed at "erase.listed";
    dies_with_a_copy_of_a_room_deleted at "erase.deleted";
    dies_before_a_receipt_tells_of_a_room at "erase.before_done";
}

struct Meeting {
    alice: RoomParticipantSid,
    tracks: [TrackRecordingSid; 2],
    composition: CompositionSid,
}

impl Meeting {
    fn of(world: &World) -> Self {
        let room: RoomSid = format!("RM{}", digits()).parse().unwrap();
        let stand_in = &world.stand_in;
        let [alice, bob] =
            ["alice", "bob"].map(|who| stand_in.add_room_participant(&world.account, &room, who));
        let tracks = [&alice, &bob]
            .map(|whose| stand_in.add_track(&world.account, TrackFacts::new(&room, whose)));
        let composition = stand_in.add_composition(&world.account, CompositionFacts::new(&room));
        Self {
            alice,
            tracks,
            composition,
        }
    }

    fn ids(&self, world: &World) -> [RecordingId; 3] {
        let sids = [
            self.tracks[0].as_str(),
            self.tracks[1].as_str(),
            self.composition.as_str(),
        ];
        sids.map(|sid| RecordingId::of_source(world.vault, world.account.as_str(), sid))
    }

    /// Posts every callback, the last one first.
    async fn told(&self, world: &World, client: &Client) -> reqwest::Result<()> {
        let url = format!("{}/twilio/video", client.base);
        let stand_in = &world.stand_in;
        let mut callbacks =
            vec![stand_in.composition_callback(&self.composition, "composition-available", &url)];
        for event in ["recording-completed", "recording-started"] {
            for track in &self.tracks {
                callbacks.push(stand_in.track_callback(track, event, &url));
            }
        }
        for callback in callbacks {
            callback
                .post(&client.http, &url)
                .await?
                .error_for_status()?;
        }
        Ok(())
    }
}

async fn leaves(client: &Client) -> reqwest::Result<()> {
    let revoked = json!({ "subject": "client:alice", "reason": "subject-request" });
    let request = client.http.post(format!("{}/v1/revocations", client.base));
    let request = request.bearer_auth(&client.token).json(&revoked);
    request.send().await.map(drop)
}

async fn dies_and_is_told_again(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let policy = SHIPPED_POLICY
        .replacen("version = \"1\"", "version = \"rooms\"", 1)
        .replacen(
            "[collection]\n",
            "[collection]\nkinds = [\"call\", \"video-track\", \"video-composition\"]\n",
            1,
        );
    std::fs::write(world.path("privacy-policy.toml"), policy).unwrap();
    let meeting = Meeting::of(&world);
    let [alices, bobs, both] = meeting.ids(&world);

    let service = world.serve_until(Some(point)).await;
    let _ = meeting.told(&world, &service.client).await;
    if point.starts_with("erase") {
        for id in [alices, bobs, both] {
            service.client.until(id, "sealed").await;
        }
        let _ = leaves(&service.client).await;
    }
    service.process.dies(point).await;

    // The dead process's leases expire.
    world.database.execute("UPDATE work SET due_at = 0").await;
    let service = world.serve().await;
    meeting.told(&world, &service.client).await.unwrap();
    if !point.starts_with("erase") {
        for id in [alices, bobs, both] {
            service.client.until(id, "sealed").await;
        }
    }
    leaves(&service.client).await.unwrap();
    for id in [alices, both] {
        service.client.until(id, "shredded").await;
    }
    service.client.until(bobs, "sealed").await;
    let is_gone = async || {
        let stand_in = &world.stand_in;
        !stand_in.keeps_track(&meeting.tracks[0])
            && !stand_in.keeps_composition(&meeting.composition)
            && stand_in.room_identity(&meeting.alice).as_deref() == Some(meeting.alice.as_str())
    };
    assert!(eventually(is_gone).await, "{point}");
    assert!(world.stand_in.keeps_track(&meeting.tracks[1]));
    let is_done = async || {
        let left = "SELECT subject FROM work WHERE kind = 'delete-at-source'";
        world.database.texts(left).await.is_empty()
    };
    assert!(eventually(is_done).await, "{point}");
    service.process.stop().await;
    world.sweep_now().await;
    let named = "SELECT object_id FROM artefacts WHERE object_id IS NOT NULL";
    assert_eq!(world.database.texts(named).await.len(), 1);
    assert_eq!(world.objects().len(), 1);
    let sealed = "SELECT event FROM audit WHERE event = 'recording.sealed'";
    assert_eq!(world.database.texts(sealed).await.len(), 3);
}
