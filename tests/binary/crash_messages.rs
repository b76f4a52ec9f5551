//! The executable dies while it takes a message and its picture, and starts again.

use recvault::{
    config::SHIPPED_POLICY,
    demo::stand_in::{MessageFacts, MessageFile},
    model::{id::RecordingId, media::SourceRef, sid::MessageSid},
};

use crate::{client::Client, database::Kind, world::World};

points! {
    dies_and_is_told_again:
    dies_with_a_message_that_is_not_committed at "messages.before_commit";
    dies_between_commit_and_answer_of_a_message at "messages.after_commit";
    dies_with_a_picture_stored_and_no_row at "files.stored";
}

const ANNA: &str = "+493090182001";
const LINE: &str = "+493090182009";

/// Posts the callback of a message.
pub(crate) async fn tells(
    world: &World,
    client: &Client,
    sid: &MessageSid,
) -> reqwest::Result<u16> {
    let url = format!("{}/twilio/messages", client.base);
    let signed = world.stand_in.message_callback(sid, &url);
    Ok(signed.post(&client.http, &url).await?.status().as_u16())
}

/// Returns the state of the only message, and the number of objects that no row names.
async fn left(world: &World) -> (Vec<String>, usize) {
    let states = world.database.texts("SELECT state FROM recordings").await;
    let named = world
        .database
        .texts("SELECT object_id FROM artefacts WHERE object_id IS NOT NULL")
        .await;
    (states, world.objects().len() - named.len())
}

/// Makes the policy of this vault keep messages.
pub(crate) fn keep_messages(world: &World) {
    let policy = SHIPPED_POLICY
        .replacen("version = \"1\"", "version = \"messages\"", 1)
        .replacen(
            "[collection]\n",
            "[collection]\nkinds = [\"call\", \"message\"]\n",
            1,
        );
    std::fs::write(world.path("privacy-policy.toml"), policy).unwrap();
}

async fn dies_and_is_told_again(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    keep_messages(&world);
    let picture = MessageFile::new("image/jpeg", &b"\xff\xd8a picture"[..]);
    let facts = MessageFacts {
        media: vec![picture],
        ..MessageFacts::inbound(ANNA, LINE, "look")
    };
    let sid = world.stand_in.add_message(&world.account, facts);
    let source = SourceRef::parse(world.account.clone(), sid.as_str()).unwrap();
    let id: RecordingId = source.recording_id(world.vault);

    let service = world.serve_until(Some(point)).await;
    let answer = tells(&world, &service.client, &sid).await;
    service.process.dies(point).await;
    // Only a message that is sealed may have been answered.
    let (states, orphans) = left(&world).await;
    let states: Vec<&str> = states.iter().map(String::as_str).collect();
    match point {
        "messages.before_commit" => {
            assert!(answer.is_err());
            assert_eq!((states, orphans), (vec![], 0));
        }
        "messages.after_commit" => {
            assert!(answer.is_err());
            assert_eq!((states, orphans), (vec!["sealed"], 0));
        }
        _ => assert_eq!((states, orphans), (vec!["sealed"], 1)),
    }

    // The dead process's leases expire.
    world.database.execute("UPDATE work SET due_at = 0").await;
    let service = world.serve().await;
    assert_eq!(tells(&world, &service.client, &sid).await.unwrap(), 200);
    service.client.until(id, "sealed").await;
    let rows =
        format!("SELECT artefact FROM artefacts WHERE recording_id = '{id}' ORDER BY artefact");
    let is_whole = async || world.database.texts(&rows).await == ["form", "media/0", "transcript"];
    assert!(crate::client::eventually(is_whole).await);
    service.process.stop().await;
    world.sweep_now().await;
    assert_eq!(left(&world).await, (vec!["sealed".to_owned()], 0));
    let sealed = "SELECT event FROM audit WHERE event IN ('recording.sealed', 'file.sealed')";
    assert_eq!(world.database.texts(sealed).await.len(), 2);
}
