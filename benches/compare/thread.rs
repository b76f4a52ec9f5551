//! A page of a thread under one grant, over HTTP, as a console asks for it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    Failure,
    service::{Home, Service},
    table::{Row, quantile, time},
};

/// Texts in a page.
const PAGE: u64 = 50;
/// Timed pages.
const PAGES: usize = 100;

/// Reads pages of a thread, each behind the one before. Beside it stands the list of the same texts,
/// which opens nothing.
pub(crate) async fn measure(home: &Home, service: &Service, texts: usize) -> Result<Row, Failure> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let base = service.base_url();
    let get = async |url: String| -> Result<Value, Failure> {
        let request = http.get(url).bearer_auth(&home.token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    };
    let text = |value: &Value, name: &str| -> Result<String, Failure> {
        let text = value.get(name).and_then(Value::as_str);
        Ok(text
            .ok_or_else(|| format!("no {name}: {value}"))?
            .to_owned())
    };
    let listed = get(format!("{base}/v1/conversations?limit=1")).await?;
    let thread = listed.pointer("/items/0").ok_or("no thread is listed")?;
    let thread = text(thread, "id")?;
    let granted = http
        .post(format!("{base}/v1/conversations/{thread}/grants"))
        .bearer_auth(&home.token)
        .json(&json!({ "purpose": "quality-review" }));
    let granted: Value = granted.send().await?.json().await?;
    let opened = pages(&get, &text(&granted, "thread_url")?, "?").await?;
    let list = format!("{base}/v1/recordings?conversation={thread}");
    let bare = pages(&get, &list, "&").await?;
    let (mut opened, mut bare) = (opened, bare);
    let [ours, theirs] = [quantile(&mut opened, 0.5), quantile(&mut bare, 0.5)];
    Ok(Row::beside(
        format!(
            "a page of {PAGE} texts of a thread, each decided, logged and opened, among {texts}"
        ),
        format!(
            "p50 {}, p99 {}",
            time(ours),
            time(quantile(&mut opened, 0.99))
        ),
        format!("the same texts listed: p50 {}", time(theirs)),
        theirs.as_secs_f64() / ours.as_secs_f64(),
        None,
    ))
}

/// Times pages from the first one on, again and again.
async fn pages(
    get: &impl AsyncFn(String) -> Result<Value, Failure>,
    url: &str,
    joint: &str,
) -> Result<Vec<Duration>, Failure> {
    let mut took = Vec::with_capacity(PAGES);
    let mut cursor: Option<String> = None;
    while took.len() < PAGES {
        let behind = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let begun = Instant::now();
        let page = get(format!("{url}{joint}limit={PAGE}{behind}")).await?;
        took.push(begun.elapsed());
        let next = page.get("next_cursor").and_then(Value::as_str);
        cursor = next.map(str::to_owned);
    }
    Ok(took)
}
