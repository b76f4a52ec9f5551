//! Utterances of a call in progress arrive in any order, repeatedly, and incompletely.

use std::{sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use recvault::{
    demo::stand_in::RealTime,
    model::{sid::CallSid, time::Timestamp},
};
use serde_json::{Value, json};

use super::{dead, made, reads, told, words, work};
use crate::{
    viewing::{policy, vault_on},
    world::{Database, FaultyStore, Op, Plan, Recipe, Recorded, TestVault},
};

type Params = Vec<(String, String)>;

const PATH: &str = "/twilio/realtime";

fn call_of(recorded: &Recorded) -> CallSid {
    format!("CA{}", &recorded.sid.as_str()[2..])
        .parse()
        .unwrap()
}

/// Returns the beginning of a recording, as Twilio reports it.
fn began(vault: &TestVault, recorded: &Recorded) -> Timestamp {
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    Timestamp::parse_rfc2822(
        &params
            .iter()
            .find(|(name, _)| name == "RecordingStartTime")
            .unwrap()
            .1,
    )
    .unwrap()
}

/// Returns the event, this many milliseconds after the beginning.
fn at(mut params: Params, began: Timestamp, millis: u64) -> Params {
    let time = began.after(Duration::from_millis(millis)).to_string();
    params
        .iter_mut()
        .find(|(name, _)| name == "Timestamp")
        .unwrap()
        .1 = time;
    params
}

/// Returns a conversation of two with partial results, in order of arrival, without the event at
/// `lost`.
fn conversation(
    vault: &TestVault,
    recorded: &Recorded,
    began: Timestamp,
) -> (RealTime, Vec<Params>) {
    let mut rt = vault.stand_in.real_time(&vault.account, &call_of(recorded));
    let events = vec![
        at(rt.started(), began, 100),
        at(rt.partial("inbound_track", "Good mor", "0.5"), began, 1_000),
        at(
            rt.said("inbound_track", "Good morning.", 0.75),
            began,
            2_000,
        ),
        at(rt.said("outbound_track", "Hello.", 0.5), began, 2_400),
        at(
            rt.said("inbound_track", "I owe eleven.", 0.25),
            began,
            4_000,
        ),
        at(rt.said("outbound_track", "So you do.", 1.0), began, 5_000),
        at(rt.stopped(), began, 6_000),
    ];
    (rt, events)
}

async fn tell(vault: &TestVault, params: &Params) {
    assert_eq!(
        vault
            .post_callback(&vault.account, PATH, params)
            .await
            .status,
        204
    );
}

async fn settle(vault: &TestVault) {
    vault.clock.advance(Duration::from_secs(60));
    work(vault).await;
}

/// Returns the number of rows that hold utterances, and of those that wait for them.
async fn rows(vault: &TestVault) -> [i64; 2] {
    let count = async |sql: &str| vault.ground().integer(sql).await.unwrap();
    [
        count("SELECT COUNT(*) FROM utterances").await,
        count("SELECT COUNT(*) FROM work WHERE kind = 'transcript' AND subject LIKE '%/real-time/%' AND state = 'due'").await,
    ]
}

fn expected(lost: u64) -> Value {
    let said = |leg: &str, from: u64, to: u64, text: &str, confidence: f64| json!({ "leg": leg, "start_ms": from, "end_ms": to, "text": text, "confidence": confidence });
    let mut all = json!({ "language": "en-US", "source": "twilio-realtime", "sentences": [
        said("caller", 1_220, 2_000, "Good morning.", 0.75),
        said("callee", 2_040, 2_400, "Hello.", 0.5),
        said("caller", 3_220, 4_000, "I owe eleven.", 0.25),
        said("callee", 4_400, 5_000, "So you do.", 1.0),
    ] });
    if lost > 0 {
        all["lost"] = json!(lost);
    }
    all
}

async fn any_order_and_repetition_gives_the_same_transcript(database: Database) {
    let vault = vault_on(database).await;
    for seed in 0..6 {
        let recorded = vault.sealed().await;
        let (_, events) = conversation(&vault, &recorded, began(&vault, &recorded));
        let mut rng = StdRng::seed_from_u64(seed);
        let mut told = events.clone();
        told.extend((0..seed).map(|_| events[rng.random_range(0..events.len())].clone()));
        if seed > 0 {
            told.shuffle(&mut rng);
        }
        for params in &told {
            tell(&vault, params).await;
        }
        work(&vault).await;
        assert_eq!(
            (rows(&vault).await, reads(&vault, recorded.id).await),
            ([7, 1], None),
            "a minute is left for what was overtaken"
        );
        settle(&vault).await;
        assert_eq!(
            (reads(&vault, recorded.id).await, rows(&vault).await),
            (Some(expected(0)), [0, 0]),
            "seed {seed}: {told:?}"
        );
        // A repeat, long after.
        for params in &events {
            tell(&vault, params).await;
        }
        vault.later().await;
        assert_eq!(
            (reads(&vault, recorded.id).await, rows(&vault).await),
            (Some(expected(0)), [0, 0])
        );
    }
    assert_eq!(vault.count("transcript.sealed").await, 6);
}

async fn two_transcriptions_of_one_call_are_both_kept_in_order(database: Database) {
    let vault = vault_on(database).await;
    for (first, second) in [(0, 1), (1, 0)] {
        let recorded = vault.sealed().await;
        let began = began(&vault, &recorded);
        // One was stopped, and another one began later in the same call.
        let of = |from: u64, said: [&str; 2]| {
            let mut rt = vault
                .stand_in
                .real_time(&vault.account, &call_of(&recorded));
            vec![
                at(rt.started(), began, from),
                at(rt.said("inbound_track", said[0], 0.75), began, from + 2_000),
                at(rt.said("outbound_track", said[1], 0.5), began, from + 4_000),
                at(rt.stopped(), began, from + 5_000),
            ]
        };
        let both = [of(0, ["One.", "Two."]), of(15_000, ["Three.", "Four."])];
        for params in &both[first] {
            tell(&vault, params).await;
        }
        settle(&vault).await;
        assert_eq!(words(&vault, recorded.id).await.len(), 2);
        for params in &both[second] {
            tell(&vault, params).await;
        }
        settle(&vault).await;
        assert_eq!(
            (words(&vault, recorded.id).await, rows(&vault).await),
            (
                ["One.", "Two.", "Three.", "Four."]
                    .map(str::to_owned)
                    .to_vec(),
                [0, 0]
            )
        );
    }
    // Both are due at once.
    let recorded = vault.sealed().await;
    for (from, said) in [(0, "One."), (15_000, "Two.")] {
        let mut rt = vault
            .stand_in
            .real_time(&vault.account, &call_of(&recorded));
        let began = began(&vault, &recorded);
        for params in [
            rt.started(),
            rt.said("inbound_track", said, 0.75),
            rt.stopped(),
        ] {
            tell(&vault, &at(params, began, from + 2_000)).await;
        }
    }
    settle(&vault).await;
    vault.later().await;
    assert_eq!(
        (words(&vault, recorded.id).await, rows(&vault).await),
        (vec!["One.".to_owned(), "Two.".to_owned()], [0, 0])
    );
    assert_eq!(
        vault.objects().await.len(),
        6,
        "what was replaced is removed"
    );
}

async fn what_never_came_is_counted_and_said(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let (_, mut events) = conversation(&vault, &recorded, began(&vault, &recorded));
    // The partial result counts as well: a lost event is not known to be one.
    events.remove(3);
    events.remove(1);
    for params in &events {
        tell(&vault, params).await;
    }
    settle(&vault).await;
    let read = reads(&vault, recorded.id).await.unwrap();
    assert_eq!(
        (&read["lost"], read["sentences"].as_array().unwrap().len()),
        (&json!(2), 3)
    );
    let grant = crate::viewing::granted(&vault, recorded.id, "see").await;
    let vtt = crate::viewing::media(&vault, &grant, "transcript.vtt")
        .await
        .text();
    assert!(
        vtt.starts_with("WEBVTT\n\nNOTE Incomplete: 2 pieces"),
        "{vtt}"
    );
}

async fn nobody_said_that_it_ended(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let (_, events) = conversation(&vault, &recorded, began(&vault, &recorded));
    for params in &events[..6] {
        tell(&vault, params).await;
    }
    vault.clock.advance(Duration::from_secs(7_199));
    work(&vault).await;
    assert_eq!(reads(&vault, recorded.id).await, None);
    vault.clock.advance(Duration::from_secs(1));
    work(&vault).await;
    assert_eq!(reads(&vault, recorded.id).await, Some(expected(0)));
}

async fn the_call_ends_before_its_recording_is_here(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.record();
    let (_, events) = conversation(&vault, &recorded, began(&vault, &recorded));
    for params in &events {
        tell(&vault, params).await;
    }
    settle(&vault).await;
    // Its callback was lost: the call led to it.
    assert_eq!(vault.state(recorded.id).await, "sealed");
    vault.later().await;
    assert_eq!(
        (reads(&vault, recorded.id).await, rows(&vault).await),
        (Some(expected(0)), [0, 0])
    );
}

async fn what_is_said_goes_with_the_recording_of_its_call(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let (mut rt, events) = conversation(&vault, &recorded, began(&vault, &recorded));
    for params in &events[..5] {
        tell(&vault, params).await;
    }
    assert_eq!(rows(&vault).await, [5, 1]);
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    assert_eq!(rows(&vault).await, [0, 0]);
    // The call continues.
    let more = at(
        rt.said("inbound_track", "And more.", 0.5),
        began(&vault, &recorded),
        9_000,
    );
    for params in [&more, &events[6]] {
        tell(&vault, params).await;
    }
    settle(&vault).await;
    assert_eq!(
        (
            rows(&vault).await,
            vault.count("transcript.sealed").await,
            dead(&vault).await
        ),
        ([0, 0], 0, vec![])
    );
}

async fn words_that_find_no_recording_are_deleted_after_two_days(database: Database) {
    let vault = vault_on(database).await;
    let [swept, given_up] = [vault.record(), vault.record()];
    for recorded in [&swept, &given_up] {
        vault.stand_in.remove_recording(&recorded.sid);
        let (_, events) = conversation(&vault, recorded, vault.stand_in.now());
        for params in &events {
            tell(&vault, params).await;
        }
    }
    settle(&vault).await;
    assert_eq!(rows(&vault).await, [14, 2]);
    vault.clock.advance(Duration::from_secs(48 * 3600));
    vault
        .process
        .flow
        .sweeper
        .sweep(Duration::from_secs(3600))
        .await
        .unwrap();
    assert_eq!(rows(&vault).await[0], 0);
    work(&vault).await;
    // No row is left for a missing recording.
    assert_eq!(rows(&vault).await, [0, 0]);
    let (_, events) = conversation(&vault, &given_up, vault.stand_in.now());
    for params in &events {
        tell(&vault, params).await;
    }
    settle(&vault).await;
    vault.clock.advance(Duration::from_secs(48 * 3600));
    work(&vault).await;
    let [(_, why)] = dead(&vault).await.try_into().unwrap();
    assert!(why.contains("its call has no recording"), "{why}");
    assert_eq!(rows(&vault).await, [0, 0]);
}

async fn a_transcript_of_intelligence_is_better_than_one_in_haste(database: Database) {
    let vault = vault_on(database).await;
    let [first, second] = [vault.sealed().await, vault.sealed().await];
    for (recorded, intelligence_first) in [(&first, true), (&second, false)] {
        let facts = made(&vault, &recorded.sid, &["At leisure."]);
        if intelligence_first {
            told(&vault, &facts.sid).await;
            work(&vault).await;
        }
        let (_, events) = conversation(&vault, recorded, began(&vault, recorded));
        for params in &events {
            tell(&vault, params).await;
        }
        settle(&vault).await;
        if !intelligence_first {
            assert_eq!(reads(&vault, recorded.id).await, Some(expected(0)));
            told(&vault, &facts.sid).await;
            work(&vault).await;
        }
        assert_eq!(
            (words(&vault, recorded.id).await, rows(&vault).await),
            (vec!["At leisure.".to_owned()], [0, 0])
        );
    }
}

async fn a_word_that_comes_while_it_is_filed_is_not_lost(database: Database) {
    let store = FaultyStore::new();
    let vault = Recipe {
        policy: policy(),
        adapter: Some(Arc::new(store.clone())),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let (_, events) = conversation(&vault, &recorded, began(&vault, &recorded));
    for params in events
        .iter()
        .filter(|params| !params.iter().any(|(_, value)| value.contains("So you do")))
    {
        tell(&vault, params).await;
    }
    vault.clock.advance(Duration::from_secs(60));
    store.plan(Op::Put, [Plan::Gate]);
    let late = async {
        store.reached().await;
        tell(&vault, &events[5]).await;
        store.open();
    };
    tokio::join!(work(&vault), late);
    assert_eq!(
        (
            reads(&vault, recorded.id).await,
            rows(&vault).await,
            vault.objects().await.len()
        ),
        (None, [7, 1], 1)
    );
    vault.later().await;
    assert_eq!(
        (reads(&vault, recorded.id).await, rows(&vault).await),
        (Some(expected(0)), [0, 0])
    );
}

on_both_databases!(
    any_order_and_repetition_gives_the_same_transcript,
    two_transcriptions_of_one_call_are_both_kept_in_order,
    what_never_came_is_counted_and_said,
    nobody_said_that_it_ended,
    the_call_ends_before_its_recording_is_here,
    what_is_said_goes_with_the_recording_of_its_call,
    words_that_find_no_recording_are_deleted_after_two_days,
    a_transcript_of_intelligence_is_better_than_one_in_haste,
    a_word_that_comes_while_it_is_filed_is_not_lost,
);
