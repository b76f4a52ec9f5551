//! The executable dies while it sends the notice of a thread, and starts again: the person is told
//! once.

use recvault::{config::SHIPPED_POLICY, demo::stand_in::MessageFacts};

use crate::{client::eventually, database::Kind, world::World};

points! {
    dies_and_tells_once:
    dies_before_it_sends_a_notice at "notice.before_send";
    dies_after_twilio_took_a_notice at "notice.after_send";
}

const ANNA: &str = "+493090182001";
const LINE: &str = "+493090182009";

async fn dies_and_tells_once(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let policy = SHIPPED_POLICY
        .replacen("version = \"1\"", "version = \"notice\"", 1)
        .replacen(
            "[collection]\n",
            "[collection]\nkinds = [\"call\", \"message\"]\n",
            1,
        );
    let (before, after) = policy.split_once("[collection]").unwrap();
    let after = after.replacen("basis = \"legitimate-interest\"", "basis = \"consent\"", 1);
    let notice = "text = \"Example Company keeps this. Twilio carries it.\"";
    let policy = format!("{before}[collection]{after}\n[consent.messages_first]\n{notice}\n");
    std::fs::write(world.path("privacy-policy.toml"), policy).unwrap();
    let facts = MessageFacts::inbound(ANNA, LINE, "hello");
    let sid = world.stand_in.add_message(&world.account, facts);

    let service = world.serve_until(Some(point)).await;
    let url = format!("{}/twilio/messages", service.client.base);
    let signed = world.stand_in.message_callback(&sid, &url);
    // It may die before it has answered.
    let _ = signed.post(&service.client.http, &url).await;
    service.process.dies(point).await;
    let sent = || world.stand_in.messages_of(&world.account).len() - 1;
    assert_eq!(sent(), usize::from(point == "notice.after_send"));

    // The dead process's leases expire.
    world.database.execute("UPDATE work SET due_at = 0").await;
    let service = world.serve().await;
    let noted = "SELECT thread FROM notices WHERE message IS NOT NULL";
    let is_noted = async || world.database.texts(noted).await.len() == 1;
    assert!(eventually(is_noted).await);
    service.process.stop().await;
    assert_eq!(sent(), 1);
    let events = "SELECT event FROM audit WHERE event = 'notice.sent'";
    assert_eq!(world.database.texts(events).await.len(), 1);
}
