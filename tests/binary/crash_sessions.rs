//! The executable dies while it takes a text or a call through a session of Proxy, and starts again.

use recvault::{
    config::SHIPPED_POLICY,
    demo::stand_in::InteractionFacts,
    model::{
        id::RecordingId,
        media::SourceRef,
        sid::{InteractionSid, ProxySessionSid},
    },
};
use serde_json::json;

use crate::{client::Client, database::Kind, world::World};

points! {
    dies_and_is_told_again:
    dies_with_a_text_of_a_session_that_is_not_committed at "messages.before_commit";
    dies_between_commit_and_answer_of_a_text_of_a_session at "messages.after_commit";
    dies_with_participants_named_and_the_work_not_done at "sessions.named";
    dies_between_commit_and_answer_of_a_call_of_a_session at "sessions.noted";
}

const ANNA: &str = "+493090182001";
const BEN: &str = "+493090182002";
const MASK: &str = "+493090182091";

fn keep_messages(world: &World) {
    let policy = SHIPPED_POLICY
        .replacen("version = \"1\"", "version = \"messages\"", 1)
        .replacen(
            "[collection]\n",
            "[collection]\nkinds = [\"call\", \"message\"]\n",
            1,
        );
    std::fs::write(world.path("privacy-policy.toml"), policy).unwrap();
}

/// Adds a session at Twilio with one interaction of this kind.
fn interaction(world: &World, kind: &str, resource: &str) -> (ProxySessionSid, InteractionSid) {
    let service = format!("KS{}", "5".repeat(32)).parse().unwrap();
    let stand_in = &world.stand_in;
    let session = stand_in.add_proxy_session(&world.account, &service);
    let anna = stand_in.add_proxy_participant(&session, ANNA, MASK);
    let ben = stand_in.add_proxy_participant(&session, BEN, MASK);
    let facts = InteractionFacts {
        kind: kind.to_owned(),
        data: json!({ "body": "at six" }),
        inbound: (anna, format!("{resource}{}", "1".repeat(32))),
        outbound: (ben, format!("{resource}{}", "2".repeat(32))),
    };
    let sid = stand_in.add_interaction(&session, facts);
    (session, sid)
}

/// Posts the callback of an interaction.
async fn tells(
    world: &World,
    client: &Client,
    (session, sid): &(ProxySessionSid, InteractionSid),
) -> reqwest::Result<u16> {
    let url = format!("{}/twilio/proxy", client.base);
    let signed = world.stand_in.interaction_callback(session, sid, &url);
    Ok(signed.post(&client.http, &url).await?.status().as_u16())
}

async fn dies_and_is_told_again(kind: Kind, point: &str) {
    if point == "sessions.noted" {
        return dies_and_is_told_of_the_call_again(kind, point).await;
    }
    let world = World::on(kind).await;
    keep_messages(&world);
    let told = interaction(&world, "Message", "SM");
    let source = SourceRef::parse(world.account.clone(), told.1.as_str()).unwrap();
    let id: RecordingId = source.recording_id(world.vault);

    let service = world.serve_until(Some(point)).await;
    let answer = tells(&world, &service.client, &told).await;
    service.process.dies(point).await;
    // Only a text that is sealed may have been answered.
    let states = world.database.texts("SELECT state FROM recordings").await;
    let is_sealed = point != "messages.before_commit";
    assert_eq!(states == ["sealed"], is_sealed, "{states:?}");
    assert!(point == "sessions.named" || answer.is_err());

    // The dead process's leases expire.
    world.database.execute("UPDATE work SET due_at = 0").await;
    let service = world.serve().await;
    assert_eq!(tells(&world, &service.client, &told).await.unwrap(), 204);
    service.client.until(id, "sealed").await;
    let known = "SELECT DISTINCT subject FROM parties WHERE subject IS NOT NULL";
    let is_named = async || {
        let left = world
            .database
            .texts("SELECT kind FROM work WHERE kind = 'session'");
        world.database.texts(known).await.len() == 2 && left.await.is_empty()
    };
    assert!(crate::client::eventually(is_named).await);
    service.process.stop().await;
    let count = async |sql: &str| world.database.texts(sql).await.len();
    assert_eq!(count("SELECT id FROM recordings").await, 1);
    assert_eq!(count("SELECT sid FROM sources").await, 3);
    let sealed = "SELECT event FROM audit WHERE event = 'recording.sealed'";
    assert_eq!(count(sealed).await, 1);
}

async fn dies_and_is_told_of_the_call_again(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    keep_messages(&world);
    let told = interaction(&world, "Voice", "CA");
    let service = world.serve_until(Some(point)).await;
    assert!(tells(&world, &service.client, &told).await.is_err());
    service.process.dies(point).await;
    let service = world.serve().await;
    assert_eq!(tells(&world, &service.client, &told).await.unwrap(), 204);
    service.process.stop().await;
    let calls = "SELECT call_sid FROM session_calls ORDER BY call_sid";
    let expected = ["1", "2"].map(|digit| format!("CA{}", digit.repeat(32)));
    assert_eq!(world.database.texts(calls).await, expected);
}
