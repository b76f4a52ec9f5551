//! A page for each problem type, at the address in `type`, and a list of the types.

use std::fmt::Write as _;

use axum::{body::Bytes, http::HeaderMap, response::Response};

use super::{
    documents,
    gate::Id,
    problem::{Problem, ProblemType},
};

/// Lists the problem types, as a page.
#[utoipa::path(get, path = "/problems", operation_id = "listProblemTypes", tag = "operators",
    responses((status = 200, body = String, content_type = "text/html")))]
pub(super) async fn index(headers: HeaderMap) -> Response {
    let mut body = String::from("<h1>Problem types</h1>\n<ul>\n");
    for kind in ProblemType::EVERY {
        let meaning = kind.meaning();
        let line = format!(
            "<li><a href=\"{}\">{}</a>: {} ({})</li>\n",
            kind.reference(),
            kind.name(),
            meaning.title,
            meaning.status.as_u16()
        );
        body.push_str(&line);
    }
    body.push_str("</ul>\n");
    answer(&headers, "Problem types", &body)
}

/// Explains a problem type and its remedy, as a page.
///
/// `type` contains the address of this page.
#[utoipa::path(get, path = "/problems/{name}", operation_id = "getProblemType", tag = "operators", params(("name" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404, body = Problem)))]
pub(super) async fn page(Id(kind): Id<ProblemType>, headers: HeaderMap) -> Response {
    let meaning = kind.meaning();
    let mut body = String::new();
    let _ = write!(
        body,
        "<h1>{}</h1>\n<p>Status {}. Type <code>{}</code>.</p>\n<p>{}</p>\n<p><a href=\"/problems\">All problem types</a></p>\n",
        meaning.title,
        meaning.status,
        kind.reference(),
        coded(meaning.text),
    );
    answer(&headers, meaning.title, &body)
}

/// Marks text between back quotes as code. The texts are constants of this crate.
fn coded(text: &str) -> String {
    text.split('`')
        .enumerate()
        .map(|(at, part)| {
            if at % 2 == 1 {
                format!("<code>{part}</code>")
            } else {
                part.to_owned()
            }
        })
        .collect()
}

fn answer(headers: &HeaderMap, title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title} \u{2013} Recvault</title>\n{body}</html>\n"
    );
    let etag = documents::etag(page.as_bytes());
    documents::answer(
        headers,
        "text/html; charset=utf-8",
        &etag,
        Bytes::from(page),
    )
}
