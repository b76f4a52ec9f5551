//! What is redacted in a text does not depend on what else is shown.

use recvault::{demo::stand_in::MessageFacts, model::id::RecordingId};
use serde_json::Value;

use super::{
    items,
    reading::{granted, read},
};
use crate::{
    threads::{ANNA, LINE, vault_on},
    viewing::token_of,
    world::{Database, TestVault},
};

/// What both wrote: a card number digit by digit, with words and answers between.
const WRITTEN: [(bool, &str); 18] = [
    (true, "hello"),
    (true, "my card is"),
    (true, "4111"),
    (false, "go on"),
    (true, "11"),
    (true, "11"),
    (false, "yes? 4111 1111"),
    (true, "1111"),
    (true, "👋"),
    (true, "11"),
    (false, "1111"),
    (true, "11"),
    (true, "is that it"),
    (false, "1111 thanks"),
    (true, "DE89 3704 0044"),
    (true, "0532 0130"),
    (true, "00 ok"),
    (true, "1111"),
];

/// Returns each text of a thread with the kinds that are redacted in it, read in pages of this size.
async fn walked(vault: &TestVault, path: &str, limit: usize) -> Vec<(Value, Value)> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = read(vault, &format!("{path}?limit={limit}{cursor}")).await;
        let shown = items(&page).into_iter();
        all.extend(shown.map(|item| (item["text"].clone(), item["redacted"].clone())));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn written(vault: &TestVault) -> (String, Vec<RecordingId>) {
    let mut ids = Vec::new();
    for (is_hers, text) in WRITTEN {
        let id = match is_hers {
            true => vault.kept(ANNA, text).await,
            false => vault.sent(MessageFacts::outbound(LINE, ANNA, text)).await.1,
        };
        ids.push(id);
        vault.clock.advance(std::time::Duration::from_secs(1));
    }
    (vault.thread_of(ids[0]).await, ids)
}

async fn no_page_and_no_cursor_splits_what_is_redacted(database: Database) {
    let vault = vault_on(database).await;
    let (thread, ids) = written(&vault).await;
    let reviewer = vault.asks("reviewer");
    let path = granted(&reviewer, &thread, "see-less").await;
    let whole = walked(&vault, &path, WRITTEN.len()).await;
    let shown: Vec<&str> = whole
        .iter()
        .map(|(text, _)| text.as_str().unwrap())
        .collect();
    assert_eq!(shown[..5], ["hello", "my card is", "████", "go on", "██"]);
    assert_eq!(shown[6], "yes? █████████", "{shown:?}");
    let iban = ["█".repeat(14), "█".repeat(9), "██ ok".to_owned()];
    assert_eq!(shown[13], "████ thanks");
    assert_eq!(shown[14..17], iban);
    assert_eq!(shown[17], "1111", "{shown:?}");
    for limit in 1..WRITTEN.len() {
        assert_eq!(walked(&vault, &path, limit).await, whole, "{limit}");
    }

    // A grant for one message shows no more of it than the thread.
    for (id, (text, redacted)) in ids.iter().zip(&whole) {
        let grant = crate::viewing::granted(&vault, *id, "see-less").await;
        let path = format!("/v1/media/{}/transcript.json", token_of(&grant));
        let alone = vault.anybody().get(&path).await.json();
        assert_eq!(alone["sentences"][0]["text"], *text, "{alone}");
        let kinds = alone.get("redacted").cloned();
        let kinds = kinds.unwrap_or_else(|| serde_json::json!([]));
        assert_eq!(kinds, *redacted, "{alone}");
    }
    // What is only looked at is no opening.
    let entries = vault.count("opening.started").await;
    let alone = read(&vault, &format!("{path}?limit=1")).await;
    assert_eq!(items(&alone).len(), 1);
    assert_eq!(vault.count("opening.started").await, entries + 1);
}

async fn what_is_far_away_decides_too(database: Database) {
    let vault = vault_on(database).await;
    let mut ids = vec![vault.kept(ANNA, "4111 1111").await];
    // Between the groups of a number there may be any number of fillers.
    for _ in 0..40 {
        vault.clock.advance(std::time::Duration::from_secs(1));
        ids.push(vault.kept(ANNA, "um").await);
    }
    vault.clock.advance(std::time::Duration::from_secs(1));
    ids.push(vault.kept(ANNA, "1111 1111").await);
    let thread = vault.thread_of(ids[0]).await;
    let path = granted(&vault.asks("reviewer"), &thread, "see-less").await;
    let whole = walked(&vault, &path, 100).await;
    assert_eq!(whole[0].0, "█████████", "{whole:?}");
    assert_eq!(walked(&vault, &path, 1).await, whole);
}

on_both_databases!(
    no_page_and_no_cursor_splits_what_is_redacted,
    what_is_far_away_decides_too,
);
