//! A thread read under one grant: what the policy allows of it, and what stands for the rest.

use std::time::Duration;

use recvault::{demo::stand_in::MessageFacts, model::id::RecordingId};
use reqwest::Method;
use serde_json::{Value, json};

use super::items;
use crate::{
    threads::{ANNA, BEN, LINE, vault_on},
    world::{Answer, Caller, Database, TestVault},
};

pub(super) async fn asks_for(who: &Caller, thread: &str, purpose: &str) -> Answer {
    let path = format!("/v1/conversations/{thread}/grants");
    who.post(&path, json!({ "purpose": purpose })).await
}

/// Returns the path of a thread under a new grant.
pub(super) async fn granted(who: &Caller, thread: &str, purpose: &str) -> String {
    let answer = asks_for(who, thread, purpose).await;
    assert_eq!(answer.status, 201, "{purpose}: {answer:?}");
    path_of(&answer)
}

pub(super) fn path_of(answer: &Answer) -> String {
    let url = answer.json()["thread_url"].as_str().unwrap().to_owned();
    let at = url.find("/v1/").unwrap();
    url[at..].to_owned()
}

pub(super) async fn read(vault: &TestVault, path: &str) -> Value {
    let answer = vault.anybody().get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

pub(super) fn texts(page: &Value) -> Vec<Option<String>> {
    let text = |item: Value| item["text"].as_str().map(str::to_owned);
    items(page).into_iter().map(text).collect()
}

pub(super) fn told(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

impl TestVault {
    /// Keeps several messages of one person, a second apart. Returns their thread and their ids.
    pub(super) async fn thread(&self, from: &str, texts: &[&str]) -> (String, Vec<RecordingId>) {
        let mut ids = Vec::new();
        for text in texts {
            ids.push(self.kept(from, text).await);
            self.clock.advance(Duration::from_secs(1));
        }
        (self.thread_of(ids[0]).await, ids)
    }

    /// Returns every entry of an event.
    async fn entries_of(&self, event: &str) -> Vec<Value> {
        let entries = self.entries().await;
        let those = entries.into_iter().filter(|entry| entry["event"] == event);
        those.collect()
    }
}

async fn a_thread_is_read_as_one_opening_and_each_message_has_its_entry(database: Database) {
    let vault = vault_on(database).await;
    let facts = [
        MessageFacts::inbound(ANNA, LINE, "where is it?"),
        MessageFacts::outbound(LINE, ANNA, "at the neighbours"),
    ];
    let mut ids = Vec::new();
    for facts in facts {
        ids.push(vault.sent(facts).await.1);
        vault.clock.advance(Duration::from_secs(1));
    }
    let thread = vault.thread_of(ids[0]).await;
    let reviewer = vault.asks("reviewer");
    let path = granted(&reviewer, &thread, "see").await;
    let page = read(&vault, &path).await;
    assert_eq!(texts(&page), told(&["where is it?", "at the neighbours"]));
    let authors: Vec<Value> = items(&page)
        .into_iter()
        .map(|item| item["author"].clone())
        .collect();
    assert_eq!(authors, ["contact", "line"]);
    assert_eq!(
        (&page["kind"], &page["purpose"], &page["next_cursor"]),
        (&json!("thread"), &json!("see"), &Value::Null)
    );
    // Numbers only where the view shows who took part.
    assert_eq!(page["parties"][0]["address"], ANNA);
    let less = granted(&reviewer, &thread, "see-less").await;
    let less = read(&vault, &less).await;
    assert_eq!(less["parties"], Value::Null);
    assert!(!less.to_string().contains(&ANNA[1..]));

    // Two openings of one thread: two entries for it, one for each message, and one unit of the day.
    let opened = vault.entries_of("conversation.opened").await;
    assert_eq!(opened.len(), 2);
    for entry in &opened {
        assert_eq!(
            (
                &entry["details"]["conversation"],
                &entry["details"]["opened"],
                &entry["details"]["withheld"]
            ),
            (&json!(thread), &json!(2), &json!(0))
        );
    }
    let auditor = vault.asks("auditor");
    for id in &ids {
        let path = format!("/v1/audit?recording={id}&event=opening.started");
        let entries = items(&auditor.get(&path).await.json());
        let texts = entries
            .iter()
            .filter(|entry| entry["details"]["artefact"] == "transcript");
        assert_eq!(texts.count(), 2, "{entries:?}");
        assert_eq!(entries[0]["details"]["purpose"], "see");
    }
    let used = vault.ground().integer("SELECT MAX(used) FROM budgets");
    assert_eq!(used.await, Some(1));

    // The token of a thread opens nothing else, and a message's no thread.
    let other = path.replace("thread.json", "transcript.json");
    vault.anybody().get(&other).await.problem(404, "not-found");
    let message = crate::viewing::granted(&vault, ids[0], "see").await;
    let token = crate::viewing::token_of(&message);
    vault
        .anybody()
        .get(&format!("/v1/media/{token}/thread.json"))
        .await
        .problem(404, "not-found");
}

async fn a_head_opens_nothing(database: Database) {
    let vault = vault_on(database).await;
    let (thread, _) = vault.thread(ANNA, &["one"]).await;
    let path = granted(&vault.asks("reviewer"), &thread, "see").await;
    for path in [path.clone(), path.replace("json", "html")] {
        let head = vault.anybody().with(Method::HEAD, &path, &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
    assert_eq!(vault.count("opening.started").await, 0);
    assert_eq!(vault.count("conversation.opened").await, 0);
}

async fn what_is_revoked_after_the_grant_is_not_given(database: Database) {
    let vault = vault_on(database).await;
    let (thread, ids) = vault.thread(ANNA, &["one", "two", "three"]).await;
    let path = granted(&vault.asks("reviewer"), &thread, "see").await;
    assert_eq!(
        texts(&read(&vault, &path).await),
        told(&["one", "two", "three"])
    );
    let shredded = vault.shred(ids[1]).await;
    let receipt = &shredded.json()["receipt_id"];
    let page = read(&vault, &path).await;
    assert_eq!(
        texts(&page),
        [Some("one".to_owned()), None, Some("three".to_owned())]
    );
    let gone = &items(&page)[1]["withheld"];
    assert_eq!(
        (&gone["why"], &gone["receipt_id"]),
        (&json!("shredded"), receipt)
    );
    assert!(gone["shredded_at"].is_string());
    let html = vault.anybody().get(&path.replace("json", "html")).await;
    assert!(html.text().contains(receipt.as_str().unwrap()));
    let last = vault.entries_of("conversation.opened").await.pop().unwrap();
    assert_eq!(
        (&last["details"]["opened"], &last["details"]["withheld"]),
        (&json!(2), &json!(1))
    );

    vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(texts(&read(&vault, &path).await), [None, None, None]);
    asks_for(&vault.asks("reviewer"), &thread, "see")
        .await
        .problem(410, "shredded");
}

async fn a_long_thread_comes_page_by_page(database: Database) {
    let vault = vault_on(database).await;
    let all: Vec<String> = (0..7).map(|number| format!("message {number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let (thread, _) = vault.thread(ANNA, &all).await;
    vault.thread(BEN, &["another thread"]).await;
    let path = granted(&vault.asks("reviewer"), &thread, "see").await;
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = read(&vault, &format!("{path}?limit=3{cursor}")).await;
        found.push(texts(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = all.chunks(3).map(told).collect();
    assert_eq!(found, expected);
    let used = vault.ground().integer("SELECT MAX(used) FROM budgets");
    assert_eq!(used.await, Some(1), "all pages are one opening");
    for bad in ["limit=0", "limit=1001", "cursor=x", "limit=1&x=1"] {
        let refused = vault.anybody().get(&format!("{path}?{bad}")).await;
        refused.problem(400, "bad-request");
    }
    let html = vault
        .anybody()
        .get(&path.replace("json", "html?limit=3"))
        .await;
    assert!(html.text().contains("rel=\"next\""), "{html:?}");
}

async fn what_is_redacted_is_noted_and_found_across_messages(database: Database) {
    let vault = vault_on(database).await;
    let (thread, _) = vault
        .thread(
            ANNA,
            &["my card is 4111 1111", "1111 1111, thank you", "bye 👋"],
        )
        .await;
    let reviewer = vault.asks("reviewer");
    let path = granted(&reviewer, &thread, "see-less").await;
    let page = read(&vault, &path).await;
    assert!(!page.to_string().contains("1111"), "{page}");
    let noted: Vec<Value> = items(&page)
        .into_iter()
        .map(|item| item["redacted"].clone())
        .collect();
    assert_eq!(
        noted,
        [json!(["card-number"]), json!(["card-number"]), json!([])]
    );
    assert_eq!(texts(&page)[2].as_deref(), Some("bye 👋"));
    let html = vault.anybody().get(&path.replace("json", "html")).await;
    let html = html.text();
    assert!(!html.contains("1111"), "{html}");
    assert!(
        html.contains("Redacted on this copy: card-number."),
        "{html}"
    );
    // Who may see all sees all, and no note.
    let path = granted(&reviewer, &thread, "see").await;
    let page = read(&vault, &path).await;
    assert_eq!(texts(&page)[0].as_deref(), Some("my card is 4111 1111"));
    assert_eq!(items(&page)[0]["redacted"], json!([]));
}

async fn an_archive_has_each_thread_as_a_text_to_read(database: Database) {
    let vault = vault_on(database).await;
    let (thread, ids) = vault
        .thread(ANNA, &["first", "second\nline", "third"])
        .await;
    vault.thread(BEN, &["somebody else's"]).await;
    vault.shred(ids[1]).await;
    let body =
        json!({ "subject": ANNA, "purpose": "subject-request", "justification": "they asked" });
    let archive = vault
        .asks("privacy-officer")
        .post("/v1/exports", body)
        .await;
    assert_eq!(archive.status, 200, "{archive:?}");
    let (order, files) = crate::exporting::unpacked(&archive.body);
    let name = format!("threads/{thread}.txt");
    let text = String::from_utf8(files[&name].clone()).unwrap();
    let blocks: Vec<&str> = text.trim().split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{text}");
    for (block, (id, said)) in blocks.iter().zip([
        (ids[0], ":\n    first"),
        (ids[1], ": message, left out: recording-shredded"),
        (ids[2], ":\n    third"),
    ]) {
        assert!(block.contains(&format!(" contact ({id}){said}")), "{block}");
    }
    let place = |name: &str| order.iter().position(|other| other.contains(name)).unwrap();
    assert!(place(&ids[0].to_string()) < place(&ids[2].to_string()));
    assert!(place(&ids[2].to_string()) < place(&name));
    assert!(!text.contains("somebody"));
    // It was opened once for all of it.
    let path = format!("/v1/audit?recording={}&event=opening.started", ids[0]);
    let entries = items(&vault.asks("auditor").get(&path).await.json());
    assert!(
        entries
            .iter()
            .all(|entry| entry["details"]["conversation"].is_null())
    );
}

async fn the_page_for_people_runs_nothing(database: Database) {
    let vault = vault_on(database).await;
    let hostile = "<script>alert(1)</script>\u{202e}evil\n<img src=x>";
    let (thread, _) = vault.thread(ANNA, &[hostile]).await;
    let path = granted(&vault.asks("reviewer"), &thread, "see").await;
    let html = vault.anybody().get(&path.replace("json", "html")).await;
    assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        html.header("content-security-policy"),
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    );
    assert_eq!(html.header("cache-control"), "no-store");
    assert_eq!(html.header("referrer-policy"), "no-referrer");
    let text = html.text();
    assert!(!text.contains("<script") && !text.contains("<img") && !text.contains('\u{202e}'));
    assert!(text.contains("&#60;script&#62;alert(1)") && text.contains(">U+202E</span>evil"));
    assert!(text.contains(ANNA), "the view shows who took part");
    // As JSON it is the text itself.
    assert_eq!(texts(&read(&vault, &path).await), told(&[hostile]));
}

async fn a_conversation_in_which_nothing_was_written_is_not_read(database: Database) {
    let vault = vault_on(database).await;
    let call = vault.sealed().await.sid.as_str().replacen("RE", "CA", 1);
    let reviewer = vault.asks("reviewer");
    asks_for(&reviewer, &call, "see")
        .await
        .problem(409, "conflict");
    let stranger = asks_for(&vault.asks("stranger"), &call, "see").await;
    stranger.problem(404, "not-found");
    let (thread, _) = vault.thread(ANNA, &["one"]).await;
    // A purpose whose view has no text opens none.
    let path = granted(&reviewer, &thread, "hear-part").await;
    let page = read(&vault, &path).await;
    assert_eq!(items(&page)[0]["withheld"]["why"], "other-view");
    assert_eq!(vault.count("opening.started").await, 0);
    let body = json!({ "purpose": "see", "break_glass": true });
    reviewer
        .post(&format!("/v1/conversations/{thread}/grants"), body)
        .await
        .problem(400, "bad-request");
}

on_both_databases!(
    a_thread_is_read_as_one_opening_and_each_message_has_its_entry,
    a_head_opens_nothing,
    what_is_revoked_after_the_grant_is_not_given,
    a_long_thread_comes_page_by_page,
    what_is_redacted_is_noted_and_found_across_messages,
    an_archive_has_each_thread_as_a_text_to_read,
    the_page_for_people_runs_nothing,
    a_conversation_in_which_nothing_was_written_is_not_read,
);
