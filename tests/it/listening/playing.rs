//! A player requests the whole, ranges, and malformed ranges.

use reqwest::Method;
use serde_json::json;

use crate::world::Recipe;

#[tokio::test]
async fn a_player_gets_the_whole() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let whole = vault.anybody().get(&path).await;
    let head = vault.anybody().with(Method::HEAD, &path, &[]).await;
    assert!(whole.body == recorded.wav && head.body.is_empty());
    for answer in [whole, head] {
        let len = recorded.wav.len().to_string();
        for (name, value) in [
            ("content-type", "audio/wav"),
            ("content-length", &len),
            ("accept-ranges", "bytes"),
            ("cache-control", "no-store"),
            ("content-disposition", "inline; filename=\"recording.wav\""),
            ("x-content-type-options", "nosniff"),
            ("content-range", ""),
        ] {
            assert_eq!((answer.status, answer.header(name)), (200, value), "{name}");
        }
        let etag = answer.header("etag");
        assert!(
            etag.len() == 34 && etag.starts_with('"') && etag.ends_with('"'),
            "{etag}"
        );
    }
    assert_eq!(
        vault.count("opening.started").await,
        1,
        "HEAD opens nothing"
    );
}

#[tokio::test]
async fn a_player_seeks() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let wav = &recorded.wav;
    let len = recorded.wav.len();
    let etag = vault
        .anybody()
        .with(Method::HEAD, &path, &[])
        .await
        .header("etag")
        .to_owned();
    let segment = recvault::seal::SegmentLength::Media.plain();
    for (range, from, to) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=0-43".to_owned(), 0, 44),
        (
            format!("bytes={}-{}", segment - 1, segment),
            segment - 1,
            segment + 1,
        ),
        (
            format!("bytes={segment}-{}", 2 * segment - 1),
            segment,
            2 * segment,
        ),
        (
            format!("bytes={}-{}", segment * 2 - 3, segment * 5 + 7),
            segment * 2 - 3,
            segment * 5 + 8,
        ),
        ("bytes=500000-".to_owned(), 500_000, len),
        ("bytes=-1".to_owned(), len - 1, len),
        (format!("bytes=-{}", len * 2), 0, len),
        (format!("bytes={}-", len - 1), len - 1, len),
        (format!("bytes=10-{}", len * 2), 10, len),
        ("Bytes = 7 - 9".to_owned(), 7, 10),
    ] {
        for extra in [&[][..], &[("if-range", etag.as_str())]] {
            let headers: Vec<_> = [("range", range.as_str())]
                .into_iter()
                .chain(extra.iter().copied())
                .collect();
            let answer = vault.anybody().with(Method::GET, &path, &headers).await;
            assert!(
                answer.status == 206 && answer.body == wav.slice(from..to),
                "{range}: {answer:?}"
            );
            assert_eq!(
                answer.header("content-range"),
                format!("bytes {from}-{}/{len}", to - 1),
                "{range}"
            );
            assert_eq!(
                (answer.header("cache-control"), answer.header("etag")),
                ("no-store", etag.as_str())
            );
        }
    }
    let last = vault.entries().await.pop().unwrap();
    assert_eq!(
        (&last["details"]["from"], &last["details"]["to"]),
        (&json!(7), &json!(10)),
        "the entry says which bytes"
    );
}

#[tokio::test]
async fn a_player_asks_oddly_and_gets_the_whole_or_a_refusal() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let len = recorded.wav.len();
    for range in [
        "bytes=0-1,5-6",
        "bytes=5-2",
        "bytes=a-b",
        "seconds=0-1",
        "bytes=-",
        "0-5",
    ] {
        let answer = vault
            .anybody()
            .with(Method::GET, &path, &[("range", range)])
            .await;
        assert_eq!((answer.status, answer.body.len()), (200, len), "{range}");
    }
    let etag = vault
        .anybody()
        .with(Method::HEAD, &path, &[])
        .await
        .header("etag")
        .to_owned();
    for validator in [
        "\"0123\"",
        &format!("W/{etag}"),
        etag.trim_matches('"'),
        "Tue, 28 May 2019 02:18:02 GMT",
    ] {
        let headers = [("range", "bytes=0-1"), ("if-range", validator)];
        let answer = vault.anybody().with(Method::GET, &path, &headers).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, len),
            "{validator}"
        );
    }
    for range in [
        format!("bytes={len}-"),
        "bytes=-0".into(),
        "bytes=99999999999999999999999-".into(),
    ] {
        let answer = vault
            .anybody()
            .with(Method::GET, &path, &[("range", &range)])
            .await;
        answer.problem(416, "range-not-satisfiable");
        assert_eq!(
            answer.header("content-range"),
            format!("bytes */{len}"),
            "{range}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_none_opens_nothing() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let token = path.split('/').nth(3).unwrap();
    let other = if token.ends_with('A') { "B" } else { "A" };
    let altered = format!("{}{other}", &token[..token.len() - 1]);
    for bad in [
        "x",
        "rvg_",
        &altered,
        &token.to_lowercase(),
        "%FF",
        "..%2F..",
        &"x".repeat(5000),
    ] {
        vault
            .anybody()
            .get(&format!("/v1/media/{bad}/audio.wav"))
            .await
            .problem(404, "not-found");
    }
}
