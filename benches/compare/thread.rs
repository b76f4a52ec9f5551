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
    let reader = Reader {
        http: reqwest::Client::builder().no_proxy().build()?,
        token: home.token.clone(),
    };
    let base = service.base_url();
    let text = |value: &Value, name: &str| -> Result<String, Failure> {
        let text = value.get(name).and_then(Value::as_str);
        Ok(text
            .ok_or_else(|| format!("no {name}: {value}"))?
            .to_owned())
    };
    let listed = reader
        .get(&format!("{base}/v1/conversations?limit=1"))
        .await?;
    let thread = listed.pointer("/items/0").ok_or("no thread is listed")?;
    let thread = text(thread, "id")?;
    let granted = reader
        .http
        .post(format!("{base}/v1/conversations/{thread}/grants"))
        .bearer_auth(&home.token)
        .json(&json!({ "purpose": "quality-review" }));
    let granted: Value = granted.send().await?.json().await?;
    let opened = reader.pages(&text(&granted, "thread_url")?, "?").await?;
    let list = format!("{base}/v1/recordings?conversation={thread}");
    let bare = reader.pages(&list, "&").await?;
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

/// Somebody who reads.
struct Reader {
    http: reqwest::Client,
    token: String,
}

impl Reader {
    async fn get(&self, url: &str) -> Result<Value, Failure> {
        let request = self.http.get(url).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Times pages from the first one on, again and again.
    async fn pages(&self, url: &str, joint: &str) -> Result<Vec<Duration>, Failure> {
        let mut took = Vec::with_capacity(PAGES);
        let mut cursor: Option<String> = None;
        while took.len() < PAGES {
            let behind = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            let begun = Instant::now();
            let page = self
                .get(&format!("{url}{joint}limit={PAGE}{behind}"))
                .await?;
            took.push(begun.elapsed());
            let next = page.get("next_cursor").and_then(Value::as_str);
            cursor = next.map(str::to_owned);
        }
        Ok(took)
    }
}
