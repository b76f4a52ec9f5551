//! Views of a purpose: windows, transcripts, and nothing else.

mod filing;
mod keeping;

use bytes::Bytes;
use futures_util::StreamExt as _;
use recvault::{
    config::SHIPPED_POLICY,
    demo::conversation,
    flow::{Ended, Form},
    model::{artefact::Artefact, id::RecordingId},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Database, Recipe, Recorded, TestVault, send, that_keeps_everything};

/// Bytes of one second of the conversation.
const SECOND: usize = 8000 * 4;
const HEAD: usize = conversation::HEADER_LEN;

/// Returns the shipped policy with a purpose for each view. None requires an approval.
pub(crate) fn policy() -> String {
    let purpose = |name: &str, view: &str| {
        format!(
            "[[purposes]]\nname = \"{name}\"\ntext = \"A view.\"\ndpv = \"https://w3id.org/dpv#ServiceOptimisation\"\n\
             tiers = [\"standard\", \"sensitive\", \"restricted\"]\nroles = [\"reviewer\"]\njustification = false\n{view}\n\n"
        )
    };
    let views = [
        purpose("hear", "view = \"audio\""),
        purpose("see", "view = \"transcript\""),
        purpose("see-less", "view = \"redacted-transcript\""),
        purpose("hear-part", "window = { from_s = 2, to_s = 5 }"),
        purpose("hear-end", "window = { from_s = 26, to_s = 100 }"),
        purpose("hear-nothing", "window = { from_s = 28, to_s = 100 }"),
    ];
    let policy = that_keeps_everything(SHIPPED_POLICY);
    let (before, rest) = policy.split_once("[tiers.approval]").unwrap();
    let (_, after) = rest.split_once("[[classification]]").unwrap();
    format!("{before}[[classification]]{after}").replacen(
        "# The recipients of recordings",
        &format!("{}\n# The recipients of recordings", views.concat()),
        1,
    )
}

pub(crate) async fn vault_on(database: Database) -> TestVault {
    Recipe {
        policy: policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

pub(crate) fn transcript(texts: &[&str]) -> Value {
    let sentence = |(at, text): (usize, &&str)| json!({ "leg": "caller", "start_ms": at * 1000, "end_ms": at * 1000 + 900, "text": text });
    json!({ "language": "en", "source": "test", "sentences": texts.iter().enumerate().map(sentence).collect::<Vec<_>>() })
}

pub(crate) async fn file(
    vault: &TestVault,
    who: &str,
    id: RecordingId,
    body: impl Into<Bytes>,
) -> Answer {
    let request = vault
        .asks(who)
        .request(Method::PUT, &format!("/v1/recordings/{id}/transcript"));
    send(
        request
            .header("content-type", "application/json")
            .body(reqwest::Body::from(body.into())),
    )
    .await
}

pub(crate) async fn filed(vault: &TestVault, id: RecordingId, texts: &[&str]) {
    let answer = file(vault, "privacy-officer", id, transcript(texts).to_string()).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

/// Returns the grant for a purpose.
pub(crate) async fn granted(vault: &TestVault, id: RecordingId, purpose: &str) -> Value {
    let answer = vault.grant("reviewer", id, purpose).await;
    assert_eq!(answer.status, 201, "{purpose}: {answer:?}");
    answer.json()
}

/// Returns the token of a grant, from any of its addresses.
pub(crate) fn token_of(grant: &Value) -> String {
    let url = ["audio_url", "transcript_url"]
        .iter()
        .find_map(|url| grant[url].as_str())
        .unwrap();
    url.rsplit('/').nth(1).unwrap().to_owned()
}

pub(crate) async fn media(vault: &TestVault, grant: &Value, file: &str) -> Answer {
    vault
        .anybody()
        .get(&format!("/v1/media/{}/{file}", token_of(grant)))
        .await
}

async fn each_view_has_its_own_addresses_and_no_other(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    filed(&vault, recorded.id, &["Hello.", "Goodbye."]).await;
    let nothing = vault
        .anybody()
        .get(&format!("/v1/media/rvg_{}/audio.wav", "A".repeat(43)))
        .await;
    nothing.problem(404, "not-found");
    let window = |from: u32, to: u32| json!({ "from_s": from, "to_s": to });
    for (purpose, view, window, sound, text) in [
        ("hear", "audio", Value::Null, true, true),
        ("see", "transcript", Value::Null, false, true),
        ("see-less", "redacted-transcript", Value::Null, false, true),
        ("hear-part", "window", window(2, 5), true, false),
    ] {
        let grant = granted(&vault, recorded.id, purpose).await;
        let url = |given: bool, file: &str| match given {
            true => json!(
                vault
                    .process
                    .public(&format!("/v1/media/{}/{file}", token_of(&grant)))
            ),
            false => Value::Null,
        };
        assert_eq!(
            (&grant["view"], &grant["window"]),
            (&json!(view), &window),
            "{purpose}"
        );
        assert_eq!(grant["audio_url"], url(sound, "audio.wav"), "{purpose}");
        assert_eq!(
            grant["transcript_url"],
            url(text, "transcript.json"),
            "{purpose}"
        );
        assert_eq!(
            grant["transcript_vtt_url"],
            url(text, "transcript.vtt"),
            "{purpose}"
        );
        assert_eq!(grant.get("waveform_url"), None);
        for (file, artefact, given) in [
            ("audio.wav", "audio", sound),
            ("transcript.json", "transcript", text),
            ("transcript.vtt", "transcript", text),
            ("waveform.json", "", false),
        ] {
            let path = format!("/v1/media/{}/{file}", token_of(&grant));
            let before = vault.count("opening.started").await;
            let head = vault.anybody().with(Method::HEAD, &path, &[]).await;
            assert_eq!(
                (head.status, head.body.len()),
                (if given { 200 } else { 404 }, 0),
                "{purpose} {file}"
            );
            assert_eq!(
                vault.count("opening.started").await,
                before,
                "nothing was opened"
            );
            let answer = vault.anybody().get(&path).await;
            let opened = vault.count("opening.started").await - before;
            assert_eq!(
                (answer.status, opened),
                if given { (200, 1) } else { (404, 0) },
                "{purpose} {file}"
            );
            if given {
                assert_eq!(
                    vault.entries().await.pop().unwrap()["details"]["artefact"],
                    artefact
                );
                assert_eq!(answer.header("cache-control"), "no-store");
            } else {
                assert_eq!(answer.body, nothing.body, "{purpose} {file}");
            }
        }
    }
}

async fn a_part_of_the_sound_is_a_file_of_its_own(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let part = |from: usize, to: usize| {
        let at = |second: usize| (HEAD + second * SECOND).min(recorded.wav.len());
        let sound = &recorded.wav[at(from)..at(to)];
        let mut part = [&recorded.wav[..HEAD], sound].concat();
        for (place, before) in [(4, HEAD - 8), (HEAD - 4, 0)] {
            part[place..place + 4]
                .copy_from_slice(&u32::try_from(before + sound.len()).unwrap().to_le_bytes());
        }
        part
    };
    let grant = granted(&vault, recorded.id, "hear-part").await;
    let path = format!("/v1/media/{}/audio.wav", token_of(&grant));
    let whole = vault.anybody().get(&path).await;
    assert!(whole.status == 200 && whole.body == part(2, 5), "{whole:?}");
    assert_eq!(
        (whole.header("content-type"), whole.header("accept-ranges")),
        ("audio/wav", "bytes")
    );
    let from = HEAD + 2 * SECOND;
    let to = HEAD + 5 * SECOND;
    let opened = async || {
        let last = vault.entries().await.pop().unwrap();
        assert_eq!(last["event"], "opening.started");
        (
            last["details"]["from"].as_u64().unwrap(),
            last["details"]["to"].as_u64().unwrap(),
        )
    };
    assert_eq!(
        opened().await,
        (from as u64, to as u64),
        "the entry names bytes of what was sealed"
    );
    let etag = vault
        .anybody()
        .with(Method::HEAD, &path, &[])
        .await
        .header("etag")
        .to_owned();
    let len = whole.body.len();
    for (range, a, b) in [
        ("bytes=0-0".to_owned(), 0, 1),
        (format!("bytes=0-{}", HEAD - 1), 0, HEAD),
        (
            format!("bytes={}-{}", HEAD - 2, HEAD + 1),
            HEAD - 2,
            HEAD + 2,
        ),
        (format!("bytes={HEAD}-{HEAD}"), HEAD, HEAD + 1),
        (
            format!("bytes={}-{}", HEAD + 65_000, HEAD + 70_000),
            HEAD + 65_000,
            HEAD + 70_001,
        ),
        ("bytes=-1".to_owned(), len - 1, len),
        (format!("bytes={}-", len - 4), len - 4, len),
        (format!("bytes=10-{}", len * 9), 10, len),
    ] {
        for extra in [&[][..], &[("if-range", etag.as_str())]] {
            let headers: Vec<_> = [("range", range.as_str())]
                .into_iter()
                .chain(extra.iter().copied())
                .collect();
            let answer = vault.anybody().with(Method::GET, &path, &headers).await;
            assert!(
                answer.status == 206 && answer.body == whole.body.slice(a..b),
                "{range}: {answer:?}"
            );
            assert_eq!(
                answer.header("content-range"),
                format!("bytes {a}-{}/{len}", b - 1),
                "{range}"
            );
            let within = |at: usize| (from + at.saturating_sub(HEAD)).min(to) as u64;
            assert_eq!(opened().await, (within(a), within(b)), "{range}");
        }
    }
    let beyond = vault
        .anybody()
        .with(Method::GET, &path, &[("range", &format!("bytes={len}-"))])
        .await;
    beyond.problem(416, "range-not-satisfiable");
    assert_eq!(beyond.header("content-range"), format!("bytes */{len}"));
    let head = vault.anybody().with(Method::HEAD, &path, &[]).await;
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        (len.to_string().as_str(), 0)
    );

    // No two parts have the same tag: a player with a piece of one does not continue with another.
    let mut tags = vec![etag.clone()];
    for (purpose, expected) in [
        ("hear-end", part(26, 100)),
        ("hear-nothing", part(28, 100)),
        ("hear", recorded.wav.to_vec()),
    ] {
        let grant = granted(&vault, recorded.id, purpose).await;
        let path = format!("/v1/media/{}/audio.wav", token_of(&grant));
        let headers = [("range", "bytes=0-1"), ("if-range", etag.as_str())];
        let answer = vault.anybody().with(Method::GET, &path, &headers).await;
        assert!(
            answer.status == 200 && answer.body == expected,
            "{purpose}: {answer:?}"
        );
        tags.push(answer.header("etag").to_owned());
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4);
}

async fn of_a_sound_without_fixed_places_no_part_is_given(database: Database) {
    let vault = vault_on(database).await;
    let mut mp3 = recvault::demo::conversation::WAV[..2000].to_vec();
    mp3[4..8].copy_from_slice(&1992u32.to_le_bytes());
    mp3[20] = 85;
    let recorded = vault.sealed_wav(mp3.into()).await;
    let before = vault.count("opening.started").await;
    media(
        &vault,
        &granted(&vault, recorded.id, "hear-part").await,
        "audio.wav",
    )
    .await
    .problem(409, "no-window");
    assert_eq!(vault.count("opening.started").await, before);
    assert_eq!(
        media(
            &vault,
            &granted(&vault, recorded.id, "hear").await,
            "audio.wav"
        )
        .await
        .body,
        recorded.wav
    );
}

const CARD: &str = "4111 1111 1111 1111";

async fn what_the_rules_find_is_hidden_from_who_may_see_less(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let mut said = transcript(&[
        &format!("It is {CARD}, ok?"),
        "My diagnosis & <b>",
        "is four one one one",
    ]);
    said["sentences"][0]["words"] =
        json!([{ "text": "4111111111111111", "start_ms": 0, "end_ms": 5 }]);
    assert_eq!(
        file(&vault, "privacy-officer", recorded.id, said.to_string())
            .await
            .status,
        201
    );
    let less = granted(&vault, recorded.id, "see-less").await;
    let shown = media(&vault, &less, "transcript.json").await;
    assert_eq!(shown.header("content-type"), "application/json");
    let mut expected = said.clone();
    expected["sentences"][0]["text"] = json!(format!("It is {}, ok?", "█".repeat(CARD.len())));
    expected["sentences"][0]["words"][0]["text"] = json!("█".repeat(16));
    expected["sentences"][1]["text"] = json!("My █████████ & <b>");
    expected["redacted"] = json!(["card-number", "words"]);
    assert_eq!(shown.json(), expected);
    let shown = media(&vault, &less, "transcript.vtt").await;
    assert_eq!(shown.header("content-type"), "text/vtt; charset=utf-8");
    assert!(shown.text().starts_with(
        "WEBVTT\n\nNOTE Redacted on this copy: card-number, words.\n\n00:00:00.000 --> 00:00:00.900\n<v caller>It is ███████████████████, ok?\n"
    ));
    assert!(
        shown
            .text()
            .contains("<v caller>My █████████ &amp; &lt;b&gt;\n"),
        "{}",
        shown.text()
    );

    let more = granted(&vault, recorded.id, "see").await;
    assert_eq!(media(&vault, &more, "transcript.json").await.json(), said);
    assert!(
        media(&vault, &more, "transcript.vtt")
            .await
            .text()
            .contains(CARD)
    );
}

async fn a_transcript_dies_with_its_recording(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let other = vault.sealed().await;
    // Longer than one piece, so that its reading can be interrupted.
    let long: Vec<String> = (0..2000)
        .map(|at| format!("Sentence number {at}, which is one of very many."))
        .collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for id in [recorded.id, other.id] {
        filed(&vault, id, &long).await;
    }
    assert_eq!(vault.objects().await.len(), 4);
    let grant = granted(&vault, recorded.id, "see").await;
    let reading = async |grant: &Value| {
        let heard = vault
            .process
            .flow
            .playback
            .redeem(&token_of(grant), None, Artefact::Transcript)
            .await
            .unwrap();
        vault
            .process
            .flow
            .playback
            .read(&heard, Form::Json)
            .await
            .unwrap()
            .boxed()
    };
    let mut cut = reading(&grant).await;
    let mut unconcerned = reading(&granted(&vault, other.id, "see").await).await;
    assert!(cut.next().await.unwrap().is_ok() && unconcerned.next().await.unwrap().is_ok());
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    assert_eq!(
        cut.next().await.unwrap().map(|more| more.len()),
        Err(Ended::Shredded)
    );
    assert!(cut.next().await.is_none());
    assert!(
        unconcerned.all(async |piece| piece.is_ok()).await,
        "the other is read to its end"
    );

    media(&vault, &grant, "transcript.json")
        .await
        .problem(410, "shredded");
    file(
        &vault,
        "privacy-officer",
        recorded.id,
        transcript(&["Again."]).to_string(),
    )
    .await
    .problem(410, "shredded");
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        (
            vault.objects().await.len(),
            vault.artefacts(recorded.id).await.len()
        ),
        (2, 0)
    );
    assert_eq!(
        media(
            &vault,
            &granted(&vault, other.id, "see").await,
            "transcript.json"
        )
        .await
        .status,
        200
    );
}

async fn a_grant_that_ends_takes_the_transcript_with_it(database: Database) {
    let vault = vault_on(database).await;
    let recorded: Recorded = vault.sealed().await;
    filed(&vault, recorded.id, &["Hello."]).await;
    let grant = granted(&vault, recorded.id, "see").await;
    assert_eq!(media(&vault, &grant, "transcript.json").await.status, 200);
    vault.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(
        media(&vault, &grant, "transcript.json").await.reasons(),
        ["grant-expired"]
    );
}

on_both_databases!(
    each_view_has_its_own_addresses_and_no_other,
    a_part_of_the_sound_is_a_file_of_its_own,
    of_a_sound_without_fixed_places_no_part_is_given,
    what_the_rules_find_is_hidden_from_who_may_see_less,
    a_transcript_dies_with_its_recording,
    a_grant_that_ends_takes_the_transcript_with_it,
);
