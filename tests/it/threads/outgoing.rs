//! Messages that a callback does not bring whole: outgoing ones, and those that the list names.

use std::time::Duration;

use recvault::{demo::stand_in::MessageFacts, flow::Reconciling};
use serde_json::json;

use super::{ANNA, BEN, LINE, TEXT, id_of, keeping, picture, vault_on};
use crate::{
    transcribing::work,
    viewing::policy,
    world::{Database, Recipe},
};

async fn what_the_line_wrote_is_fetched_and_stays_when_the_receiver_revokes(database: Database) {
    let vault = vault_on(database).await;
    let (_, own) = vault
        .sent(MessageFacts::inbound(ANNA, LINE, "where is it?"))
        .await;
    let (_, answer) = vault.sent(MessageFacts::outbound(LINE, ANNA, TEXT)).await;
    assert_eq!(vault.reads(answer).await, TEXT);
    assert_eq!(
        vault.member(own, "thread_id").await,
        vault.member(answer, "thread_id").await
    );
    assert_eq!(vault.member(own, "author").await, "contact");
    assert_eq!(vault.member(answer, "author").await, "line");
    vault.agrees(ANNA).await;
    let trains = async || {
        let path = format!("/v1/recordings/{answer}/grants");
        let body = json!({ "purpose": "training", "justification": "a course" });
        vault.asks("reviewer").post(&path, body).await
    };
    assert_eq!(trains().await.status, 201);

    vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(vault.state(own).await, "shredded");
    assert_eq!(vault.state(answer).await, "sealed");
    // What rests on their consent does not open it any more.
    assert_eq!(trains().await.status, 403);
    assert_eq!(vault.reads(answer).await, TEXT);
}

async fn a_rule_for_a_number_holds_for_its_messages(database: Database) {
    let rule = format!("[[classification]]\nnumber = \"{LINE}\"\ntier = \"restricted\"\n\n");
    let (before, after) = keeping(&policy())
        .split_once("[[classification]]")
        .map(|(before, after)| (before.to_owned(), after.to_owned()))
        .unwrap();
    let vault = Recipe {
        policy: format!("{before}{rule}[[classification]]{after}"),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let came = vault.kept(ANNA, "in").await;
    let (_, went) = vault.sent(MessageFacts::outbound(LINE, ANNA, "out")).await;
    for id in [came, went] {
        assert_eq!(vault.member(id, "tier").await, "restricted");
    }
}

async fn a_status_without_a_sender_gets_its_thread_with_the_text(database: Database) {
    let vault = vault_on(database).await;
    let own = vault.kept(ANNA, "in").await;
    let facts = MessageFacts::outbound(LINE, ANNA, "out");
    let sid = vault.stand_in.add_message(&vault.account, facts);
    let mut params = vault.stand_in.message_status_params(&sid, "sent");
    params.retain(|(name, _)| name != "From");
    let answer = vault
        .post_callback(&vault.account, "/twilio/messages/status", &params)
        .await;
    assert_eq!(answer.status, 204);
    work(&vault).await;
    let thread = vault.member(own, "thread_id").await;
    let all = vault.messages().await;
    assert!(
        all.iter().all(|message| message["thread_id"] == thread),
        "{all:?}"
    );
}

async fn messages_that_no_callback_told_of_are_found_by_comparison(database: Database) {
    let vault = vault_on(database).await;
    let told = vault
        .sent(MessageFacts::inbound(ANNA, LINE, "told"))
        .await
        .1;
    let add = |facts| vault.stand_in.add_message(&vault.account, facts);
    let long_ago = Some(vault.clock.now().before(Duration::from_secs(2 * 3600)));
    add(MessageFacts {
        sent: long_ago,
        ..MessageFacts::inbound(BEN, LINE, "missed")
    });
    // Its callback may still come, and has more than the list.
    add(MessageFacts::inbound(BEN, LINE, "expected"));
    add(MessageFacts {
        media: vec![picture(b"\xff\xd8missed")],
        ..MessageFacts::outbound(LINE, BEN, "missed, too")
    });
    add(MessageFacts {
        status: "queued".to_owned(),
        ..MessageFacts::outbound(LINE, BEN, "not sent yet")
    });
    for found in [2, 0] {
        let compared = vault
            .process
            .flow
            .reconciliation
            .reconcile(&Reconciling::default())
            .await
            .unwrap();
        assert_eq!(compared[0].fault, None);
        assert_eq!(
            (compared[0].found.listed, compared[0].found.announced),
            (5, found)
        );
        work(&vault).await;
    }
    let mut read = Vec::new();
    for message in vault.messages().await {
        if id_of(&message) != told {
            assert_eq!(message["state"], "sealed", "{message}");
            read.push(vault.reads(id_of(&message)).await);
        }
    }
    read.sort();
    assert_eq!(read, ["missed", "missed, too"]);
    assert_eq!(vault.count("file.sealed").await, 1);
}

async fn a_message_that_twilio_does_not_let_go_of_yet_is_tried_again(database: Database) {
    let vault = vault_on(database).await;
    let facts = MessageFacts {
        status: "sent".to_owned(),
        ..MessageFacts::outbound(LINE, ANNA, TEXT)
    };
    let (sid, id) = vault.sent(facts).await;
    vault.shred(id).await;
    work(&vault).await;
    assert!(vault.stand_in.remaining_message(&sid).entry);
    let source = vault.member(id, "at_source").await;
    assert_eq!(source["state"], "not-deletable-yet");

    vault.stand_in.set_message_status(&sid, "delivered");
    vault.later().await;
    assert!(!vault.stand_in.remaining_message(&sid).entry);
    assert_eq!(vault.member(id, "at_source").await["state"], "deleted");
}

async fn an_account_that_says_so_deletes_messages_at_twilio_once_they_are_sealed(
    database: Database,
) {
    let vault = Recipe {
        policy: keeping(&policy()),
        account: "delete_source = \"after-sealing\"",
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let facts = MessageFacts {
        media: vec![picture(b"\xff\xd8here")],
        ..MessageFacts::outbound(LINE, ANNA, TEXT)
    };
    let (sid, id) = vault.sent(facts).await;
    assert!(vault.stand_in.remaining_message(&sid).entry);
    vault.later().await;
    assert!(!vault.stand_in.remaining_message(&sid).entry);
    assert_eq!(vault.member(id, "at_source").await["state"], "deleted");
    assert_eq!(vault.reads(id).await, TEXT);
}

on_both_databases!(
    an_account_that_says_so_deletes_messages_at_twilio_once_they_are_sealed,
    what_the_line_wrote_is_fetched_and_stays_when_the_receiver_revokes,
    a_rule_for_a_number_holds_for_its_messages,
    a_status_without_a_sender_gets_its_thread_with_the_text,
    messages_that_no_callback_told_of_are_found_by_comparison,
    a_message_that_twilio_does_not_let_go_of_yet_is_tried_again,
);
