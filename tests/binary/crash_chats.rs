//! The executable dies while it takes a message of a chat and its edit, and starts again.

use recvault::{
    config::SHIPPED_POLICY,
    demo::stand_in::{ChatMessageFacts, ChatParticipantFacts, SignedCallback},
    model::{id::RecordingId, media::SourceRef, sid::ChatServiceSid},
};

use crate::{client::Client, database::Kind, world::World};

points! {
    dies_and_is_told_again:
    dies_with_a_message_of_a_chat_that_is_not_committed at "messages.before_commit";
    dies_between_commit_and_answer_of_a_message_of_a_chat at "messages.after_commit";
    dies_with_an_edit_that_is_not_entered at "edits.sealed";
    dies_between_the_entry_of_an_edit_and_its_answer at "edits.entered";
}

/// Longer than what stays in the database, so that an orphan would be seen.
fn long(text: &str) -> String {
    text.repeat(20 * 1024 / text.len())
}

async fn posts(client: &Client, signed: &SignedCallback) -> reqwest::Result<u16> {
    let url = format!("{}/twilio/conversations", client.base);
    Ok(signed
        .clone()
        .post(&client.http, &url)
        .await?
        .status()
        .as_u16())
}

async fn dies_and_is_told_again(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let policy = SHIPPED_POLICY
        .replacen("version = \"1\"", "version = \"chats\"", 1)
        .replacen(
            "[collection]\n",
            "[collection]\nkinds = [\"call\", \"chat-message\"]\n",
            1,
        );
    std::fs::write(world.path("privacy-policy.toml"), policy).unwrap();
    let service_sid: ChatServiceSid = format!("IS{}", "9".repeat(32)).parse().unwrap();
    let chat = world.stand_in.add_chat(&world.account, &service_sid);
    let dave = ChatParticipantFacts::identity("dave");
    let dave = world.stand_in.add_chat_participant(&chat, dave);
    let mut facts = ChatMessageFacts::new("dave", &long("one "));
    facts.participant = Some(dave);
    let sid = world.stand_in.add_chat_message(&chat, facts);
    let source = SourceRef::parse(world.account.clone(), sid.as_str()).unwrap();
    let id: RecordingId = source.recording_id(world.vault);
    let tells = async |client: &Client, event: &str| {
        let url = format!("{}/twilio/conversations", client.base);
        let signed = world
            .stand_in
            .chat_message_callback(&chat, &sid, event, &url);
        posts(client, &signed).await
    };
    let is_edit = point.starts_with("edits");
    if is_edit {
        let service = world.serve().await;
        let told = tells(&service.client, "onMessageAdded").await;
        assert_eq!(told.unwrap(), 204);
        service.process.stop().await;
    }
    world.stand_in.advance(std::time::Duration::from_secs(1));

    let service = world.serve_until(Some(point)).await;
    let answer = if is_edit {
        world.stand_in.edit_chat_message(&chat, &sid, &long("two "));
        tells(&service.client, "onMessageUpdated").await
    } else {
        tells(&service.client, "onMessageAdded").await
    };
    service.process.dies(point).await;
    assert!(answer.is_err(), "{answer:?}");

    // The dead process's leases expire.
    world.database.execute("UPDATE work SET due_at = 0").await;
    let service = world.serve().await;
    if !is_edit {
        let told = tells(&service.client, "onMessageAdded").await;
        assert_eq!(told.unwrap(), 204);
        world.stand_in.edit_chat_message(&chat, &sid, &long("two "));
    }
    let told = tells(&service.client, "onMessageUpdated").await;
    assert_eq!(told.unwrap(), 204);
    service.client.until(id, "sealed").await;
    service.process.stop().await;
    world.sweep_now().await;
    let rows = "SELECT artefact FROM artefacts ORDER BY artefact";
    let artefacts = world.database.texts(rows).await;
    let kinds: Vec<&str> = artefacts
        .iter()
        .map(|artefact| artefact.split('/').next().unwrap())
        .collect();
    assert_eq!(kinds, ["form", "form", "transcript", "transcript"]);
    let named = "SELECT object_id FROM artefacts WHERE object_id IS NOT NULL";
    let named = world.database.texts(named).await;
    assert_eq!(world.objects().len(), named.len());
    let sealed = "SELECT event FROM audit WHERE event IN ('recording.sealed', 'edit.sealed')";
    assert_eq!(world.database.texts(sealed).await.len(), 2);
}
