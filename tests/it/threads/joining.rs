//! A message that came before its group was known, and other news of one message in any order.

use recvault::demo::stand_in::MessageFacts;
use serde_json::json;

use super::{ANNA, BEN, LINE, TEXT, id_of, keeping, vault_on};
use crate::{
    consenting::consent_policy,
    transcribing::work,
    world::{Database, Recipe, that_keeps_everything},
};

fn group(body: &str) -> MessageFacts {
    MessageFacts {
        recipients: vec![LINE.to_owned(), BEN.to_owned()],
        ..MessageFacts::inbound(ANNA, LINE, body)
    }
}

async fn who_received_a_message_of_a_group_counts_when_the_group_is_known(database: Database) {
    let policy = that_keeps_everything(&keeping(&consent_policy()));
    let vault = Recipe {
        policy: policy.replacen("keep-closed", "shred", 1),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    // The group is known, and its people are, by a message of Ben.
    let bens = vault.stand_in.add_message(
        &vault.account,
        MessageFacts {
            from: BEN.to_owned(),
            recipients: vec![ANNA.to_owned(), LINE.to_owned()],
            ..group("And I")
        },
    );
    let event = |sid| vault.stand_in.message_event(sid, "received");
    vault.streams(&json!([event(&bens)])).await;
    vault.agrees(ANNA).await;
    // The webhook of Anna's message names no other receivers.
    let sid = vault.stand_in.add_message(&vault.account, group(TEXT));
    let webhook = vault.stand_in.incoming_message_params(&sid);
    assert_eq!(vault.told_message(&webhook).await.status, 200);
    let all = vault.messages().await;
    let annas = all.iter().find(|one| one["quarantine_ends"].is_null());
    let annas = id_of(annas.expect("she agrees, and the thread is of two"));
    // Whoever revokes is done with what they can be known to have received.
    vault.revoked(json!({ "subject": BEN })).await;
    assert_eq!(vault.state(annas).await, "sealed");
    vault.streams(&json!([event(&sid)])).await;
    work(&vault).await;
    // As the service does.
    vault.process.flow.revocations.continue_all().await.unwrap();
    let ended = vault.state(annas).await;
    let shown = vault.details(annas).await;
    assert!(
        ended == "shredded" || !shown["quarantine_ends"].is_null(),
        "it is closed as soon as it is known that he received it: {shown}"
    );
}

/// The announcement of a message has the tier of its own query, and its content another.
async fn the_strictest_tier_counts_whichever_news_comes_first(database: Database) {
    const CARD: &str = "my card is 4111 1111 1111 1111";
    let vault = vault_on(database).await;
    let orders = [[0, 1], [1, 0]];
    let mut tiers = Vec::new();
    for order in orders {
        let sid = vault
            .stand_in
            .add_message(&vault.account, MessageFacts::inbound(ANNA, LINE, CARD));
        let webhook = vault.stand_in.incoming_message_params(&sid);
        // An earlier form of it, without the number.
        let plain: Vec<(String, String)> = webhook
            .iter()
            .map(|(name, value)| match name.as_str() {
                "Body" => (name.clone(), "my card".to_owned()),
                _ => (name.clone(), value.clone()),
            })
            .collect();
        for news in order {
            let news = if news == 0 { &plain } else { &webhook };
            assert_eq!(vault.told_message(news).await.status, 200);
        }
        let all = vault.messages().await;
        let ids: Vec<_> = all.iter().map(|one| one["tier"].clone()).collect();
        tiers.push(ids);
    }
    assert_eq!(tiers[1], [json!("restricted"), json!("restricted")]);
}

on_both_databases!(
    who_received_a_message_of_a_group_counts_when_the_group_is_known,
    the_strictest_tier_counts_whichever_news_comes_first,
);
