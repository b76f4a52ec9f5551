//! Uploads on S3 that nobody recorded: against moto, and against answers that moto never gives.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
};
use object_store::{ObjectStoreExt, multipart::MultipartStore, path::Path};
use tokio::{sync::Mutex, task::JoinSet};

use super::killed_while_writing;
use crate::{
    model::time::{Clock, Timestamp},
    moto::MotoServer,
    needs,
    secret::SecretText,
    store::{Kind, Name, Store, StoreSettings, UnrecordedSwept, conformance::id},
};

fn at(endpoint: &str, url: &str) -> Store {
    let settings = StoreSettings {
        url: url.into(),
        endpoint: Some(endpoint.into()),
        access_key_id: Some("AKIDEXAMPLE".into()),
        secret_access_key: Some(SecretText::new("secret".into())),
        ..StoreSettings::default()
    };
    Store::open(&settings, std::path::Path::new(".")).unwrap()
}

fn a_day_ago() -> Timestamp {
    Clock::System.now().before(Duration::from_secs(24 * 3600))
}

fn swept(aborted: u64) -> UnrecordedSwept {
    UnrecordedSwept {
        aborted,
        refused: false,
    }
}

/// Simulates a process that is killed between starting an upload and recording it.
async fn killed_before_recording(store: &Store, path: &Path) -> String {
    let Kind::S3(s3) = &store.kind else {
        panic!("not S3");
    };
    s3.objects.create_multipart(path).await.unwrap()
}

/// Every upload of moto began in 2010.
#[tokio::test]
#[ignore = "needs moto, which plays S3: run `tests/run`"]
async fn an_upload_that_nobody_recorded_is_aborted_and_no_other() {
    let moto = MotoServer::start(&needs::required("RECVAULT_TEST_MOTO"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let made = client.put(format!("{}/calls", moto.url)).send().await;
    assert!(made.unwrap().status().is_success());
    let store = at(&moto.url, "s3://calls/team/a");
    let neighbour = at(&moto.url, "s3://calls/team/ab");
    let lost = Name::Object(id());
    killed_before_recording(&store, &store.paths.of(lost)).await;
    killed_before_recording(&store, &store.paths.rehearsal().join("0123-parts")).await;
    killed_while_writing(&store, id()).await;
    killed_before_recording(&store, &Path::from("team/a/reports/1.floe")).await;
    killed_before_recording(&neighbour, &neighbour.paths.of(lost)).await;

    let older = Timestamp::parse_rfc3339("2010-01-01T00:00:00Z").unwrap();
    assert_eq!(store.sweep_unrecorded(older).await, Ok(swept(0)), "young");
    assert_eq!(store.sweep_unrecorded(a_day_ago()).await, Ok(swept(2)));
    assert_eq!(store.sweep_unrecorded(a_day_ago()).await, Ok(swept(0)));
    assert_eq!(neighbour.sweep_unrecorded(a_day_ago()).await, Ok(swept(1)));
    let Kind::S3(s3) = &store.kind else {
        panic!("not S3");
    };
    let left = s3.uploads.list("s3", "team/a").await.unwrap().unwrap();
    assert_eq!(
        left.len(),
        2,
        "the recorded one, and what is not ours: {left:?}"
    );

    // A marker of another upload of the same id does not keep this one.
    store
        .inner
        .put(&store.paths.upload(lost.id()), "another".into())
        .await
        .unwrap();
    killed_before_recording(&store, &store.paths.of(lost)).await;
    assert_eq!(store.sweep_unrecorded(a_day_ago()).await, Ok(swept(1)));
}

/// Answers of a server, in order, and the queries that they answered.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<Vec<(u16, String)>>>,
    queries: Arc<Mutex<Vec<String>>>,
}

async fn play(State(script): State<Script>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    script.queries.lock().await.push(query.unwrap_or_default());
    let mut answers = script.answers.lock().await;
    let (status, body) = match answers.len() {
        1 => answers[0].clone(),
        _ => answers.remove(0),
    };
    (StatusCode::from_u16(status).unwrap(), body)
}

async fn server_with(answers: &[(u16, &str)]) -> (Store, Script, JoinSet<()>) {
    let script = Script::default();
    *script.answers.lock().await = answers
        .iter()
        .map(|(status, body)| (*status, (*body).to_owned()))
        .collect();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(play).with_state(script.clone());
    let mut serving = JoinSet::new();
    serving.spawn(async { axum::serve(listener, app).await.unwrap() });
    (at(&endpoint, "s3://calls/team/a"), script, serving)
}

fn page(key: &str, next: Option<(&str, &str)>) -> String {
    let end = match next {
        Some((key, id)) => format!(
            "<IsTruncated>true</IsTruncated><NextKeyMarker>{key}</NextKeyMarker>\
             <NextUploadIdMarker>{id}</NextUploadIdMarker>"
        ),
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    format!(
        "<ListMultipartUploadsResult>{end}<Upload><Key>{key}</Key><UploadId>u</UploadId>\
         <Initiated>2026-01-01T00:00:00Z</Initiated></Upload></ListMultipartUploadsResult>"
    )
}

#[tokio::test]
async fn every_page_of_the_list_is_asked_for() {
    let first = page("a", Some(("team/a&b", "u 1")));
    let second = page("b", Some(("team/a&b", "u 2")));
    let third = page("c", None);
    let (store, script, _serving) = server_with(&[
        (200, &first.replace('&', "&amp;")),
        (200, &second.replace('&', "&amp;")),
        (200, &third),
    ])
    .await;
    assert_eq!(store.sweep_unrecorded(a_day_ago()).await, Ok(swept(0)));
    let queries = script.queries.lock().await;
    let begun = "uploads=&encoding-type=url&prefix=team%2Fa%2F";
    let next = |id| format!("{begun}&key-marker=team%2Fa%26b&upload-id-marker=u+{id}");
    assert_eq!(*queries, [begun.to_owned(), next(1), next(2)]);
}

#[tokio::test]
async fn a_list_without_an_end_is_a_fault() {
    for next in [("b", "u"), ("a", "u")] {
        let again = page("x", Some(next));
        let (store, _script, _serving) =
            server_with(&[(200, &page("x", Some(("b", "u")))), (200, &again)]).await;
        let error = store.sweep_unrecorded(a_day_ago()).await.unwrap_err();
        assert!(error.to_string().contains("has no end"), "{error}");
    }
}

#[tokio::test]
async fn a_list_that_never_ends_is_not_read_to_its_end() {
    let endless = "x".repeat(8 * 1024 * 1024 + 1);
    let (store, _script, _serving) = server_with(&[(200, &endless)]).await;
    let fault = store.sweep_unrecorded(a_day_ago()).await.unwrap_err();
    assert!(fault.to_string().contains("larger than a page"), "{fault}");
}

#[tokio::test]
async fn a_list_that_is_refused_is_said_and_one_that_fails_is_a_fault() {
    for status in [403, 404, 501] {
        let (store, _script, _serving) = server_with(&[(status, "<Error/>")]).await;
        let swept = store.sweep_unrecorded(a_day_ago()).await.unwrap();
        assert!(swept.refused, "{status}");
    }
    for (status, body) in [(500, ""), (200, "<html/>")] {
        let (store, _script, _serving) = server_with(&[(status, body)]).await;
        store.sweep_unrecorded(a_day_ago()).await.unwrap_err();
    }
}
