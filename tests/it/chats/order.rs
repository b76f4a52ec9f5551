//! Whatever happens to the events of a chat, the vault has the same final state.
//!
//! A lot is a chat of three, in which messages are written, edited and removed while people join and
//! leave; and a sequence of its events in any order, repeated or missing, with work and comparisons
//! in between. After a last comparison the vault is compared with another one, which received every
//! event once and in order.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use recvault::{
    demo::stand_in::{ChatMessageFacts, ChatParticipantFacts, SignedCallback},
    model::sid::ChatMessageSid,
};
use serde_json::Value;

use super::{ANNA, Chat, LINE, keeping};
use crate::{
    transcribing::work,
    viewing::policy,
    world::{Recipe, TestVault},
};

/// What happens to a message after it was written.
#[derive(Clone, Copy, Debug)]
struct Fate {
    author: usize,
    edits: usize,
    is_removed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Tell(usize),
    Work,
    Compare,
}

fn fate() -> impl Strategy<Value = Fate> {
    (0..3usize, 0..3usize, prop::bool::weighted(0.3)).prop_map(|(author, edits, is_removed)| Fate {
        author,
        edits,
        is_removed,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..32usize).prop_map(Step::Tell),
        1 => Just(Step::Work),
        1 => Just(Step::Compare),
    ]
}

/// Plays the story at Twilio. Returns the messages, and the events in order.
fn story(chat: &Chat<'_>, fates: &[Fate]) -> (Vec<ChatMessageSid>, Vec<SignedCallback>) {
    let stand_in = &chat.vault.stand_in;
    let url = chat.url();
    let mut events = Vec::new();
    let people = [
        ("dave", ChatParticipantFacts::identity("dave")),
        (ANNA, ChatParticipantFacts::sms(ANNA, LINE)),
        ("erin", ChatParticipantFacts::identity("erin")),
    ];
    let people = people.map(|(author, facts)| {
        let sid = chat.joined(facts);
        events.push(stand_in.chat_participant_callback(
            &chat.sid,
            &sid,
            "onParticipantAdded",
            &url,
        ));
        (author, sid)
    });
    let mut messages = Vec::new();
    for (number, fate) in fates.iter().enumerate() {
        let (author, sid) = &people[fate.author];
        chat.passes();
        let facts = ChatMessageFacts {
            participant: Some(sid.clone()),
            ..ChatMessageFacts::new(author, &format!("message {number}"))
        };
        let message = stand_in.add_chat_message(&chat.sid, facts);
        let sign = |event: &str| stand_in.chat_message_callback(&chat.sid, &message, event, &url);
        events.push(sign("onMessageAdded"));
        for edit in 0..fate.edits {
            chat.edits(&message, &format!("message {number}, edit {edit}"));
            events.push(sign("onMessageUpdated"));
        }
        if fate.is_removed {
            chat.passes();
            events.push(sign("onMessageRemoved"));
            stand_in.remove_chat_message(&chat.sid, &message);
        }
        messages.push(message);
    }
    (messages, events)
}

/// Returns each message that is still at Twilio as the vault has it: its last text, whose it is, and
/// the parties' places. An earlier state or a removed message of which no event arrives cannot be
/// had; what there is must be the same whatever the order.
async fn outcome(chat: &Chat<'_>, messages: &[ChatMessageSid], fates: &[Fate]) -> Vec<Value> {
    let mut all = Vec::new();
    for (message, fate) in messages.iter().zip(fates) {
        let id = chat.id(message);
        if fate.is_removed {
            if chat.vault.has_row(id).await {
                let removed = chat.vault.names(id, "removed_at_source").await;
                all.push(Value::from(removed.is_null()));
            } else {
                all.push(Value::from(false));
            }
            continue;
        }
        let shown = chat.vault.details(id).await;
        let (_, text) = chat.vault.states(id).await;
        let by = shown["author"]
            .as_str()
            .is_some_and(|leg| leg.starts_with("mb"));
        all.push(serde_json::json!([
            text,
            by,
            shown["state"],
            shown["tier"],
            shown["started_at"].is_null(),
        ]));
    }
    let count = |sql: &'static str| chat.vault.ground().integer(sql);
    all.push(
        count("SELECT COUNT(*) FROM work WHERE kind IN ('fetch', 'files', 'chat')")
            .await
            .into(),
    );
    let of_chat = format!(
        "SELECT COUNT(*) FROM parties WHERE conversation = '{}' AND subject IS NOT NULL AND joined_at IS NOT NULL",
        chat.sid
    );
    all.push(chat.vault.ground().integer(&of_chat).await.into());
    all
}

async fn played(vault: &TestVault, fates: &[Fate], steps: Option<&[Step]>) -> Vec<Value> {
    let chat = Chat::begun(vault);
    let (messages, events) = story(&chat, fates);
    match steps {
        None => {
            for event in events {
                chat.post(event).await;
                work(vault).await;
            }
        }
        Some(steps) => {
            for step in steps {
                match *step {
                    Step::Tell(which) => {
                        if let Some(event) = events.get(which) {
                            chat.post(event.clone()).await;
                        }
                    }
                    Step::Work => work(vault).await,
                    Step::Compare => {
                        chat.compares().await;
                    }
                }
            }
        }
    }
    chat.passes();
    chat.compares().await;
    let outcome = outcome(&chat, &messages, fates).await;
    vault.stand_in.remove_chat(&chat.sid);
    chat.compares().await;
    outcome
}

#[test]
fn any_order_repetition_and_loss_of_events_ends_in_the_same_vault() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let recipe = || Recipe {
        policy: keeping(&policy()),
        ..Recipe::default()
    };
    let (one, other) =
        runtime.block_on(async { (recipe().by_hand().await, recipe().by_hand().await) });
    let mut runner = TestRunner::new(Config {
        cases: crate::nothing_missed::lots(),
        failure_persistence: None,
        ..Config::default()
    });
    let told = runner.run(
        &(vec(fate(), 1..5), vec(step(), 0..24)),
        |(fates, steps)| {
            runtime.block_on(async {
                let found = played(&one, &fates, Some(&steps)).await;
                let expected = played(&other, &fates, None).await;
                if found == expected {
                    Ok(())
                } else {
                    Err(TestCaseError::fail(format!(
                        "{found:#?}\ninstead of\n{expected:#?}"
                    )))
                }
            })
        },
    );
    told.unwrap();
    // The worlds are dropped in the runtime that created them.
    runtime.block_on(async move { drop((one, other)) });
}
