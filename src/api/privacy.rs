//! The privacy policy in force as a page for people.
//!
//! Owns the page's form. What it says comes from the rules that decide, and from the schedule by which the epoch turns.

use askama::Template;
use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse as _, Response},
};

use super::{Api, Problem};
use crate::{model::name::Tier, policy::Document};

/// Styles are in the page itself, and nothing else is loaded.
const CONTENT_SECURITY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>How {{ policy.controller.name }} handles recorded calls</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 0 auto; padding: 1.5rem; color: #1b1b1b; background: #fff; }
  h1 { font-size: 1.6rem; line-height: 1.25; }
  h2 { font-size: 1.15rem; margin-top: 2rem; }
  dt { font-weight: 600; margin-top: .6rem; }
  dd { margin: 0; }
  code { overflow-wrap: anywhere; }
  @media print { body { max-width: none; padding: 0; } }
</style>
</head>
<body>
<main>
<h1>How {{ policy.controller.name }} handles recorded calls</h1>
<p>This page and the rules by which every request to listen is decided come from one file. What is not named here is refused.</p>

<h2>Who answers for the recordings</h2>
<p>{{ policy.controller.name }}, {{ policy.controller.contact }}.</p>
{% if !policy.processors.is_empty() %}
<p>Others who handle them:</p>
<dl>
{% for processor in policy.processors %}<dt>{{ processor.name }}</dt><dd>{{ processor.task }}</dd>
{% endfor %}</dl>
{% endif %}

<h2>What recordings may be used for</h2>
<dl>
{% for purpose in policy.purposes %}<dt>{{ purpose.name }}</dt>
<dd>{{ purpose.text }} By: {% for role in purpose.roles %}{% if !loop.first %}, {% endif %}{{ role }}{% endfor %}. For recordings that are: {% for tier in purpose.tiers %}{% if !loop.first %}, {% endif %}{{ tier }}{% endfor %}.{% if purpose.justification %} A reason must be given each time.{% endif %}</dd>
{% endfor %}</dl>

<h2>How sensitive recordings are</h2>
<dl>
{% for tier in policy.tiers %}<dt>{{ tier.name }}</dt><dd>{{ tier.description }}</dd>
{% endfor %}</dl>

<h2>When a recording is deleted</h2>
<p>Its key is destroyed. From that moment nobody opens it here any more. Older backups of our key store become useless within
<strong>{{ horizon }}</strong>, the deletion horizon: by then the key that all of them depend on is destroyed, too.{% if !at_once.is_empty() %}
For recordings that are {% for tier in at_once %}{% if !loop.first %} or {% endif %}{{ tier }}{% endfor %} this begins at once.{% endif %}
Then only noise is left of the recording, and that is removed. Each deletion leaves a signed receipt, which says how far it has come.</p>
<p>Deletions on their way to that now: {{ waiting }}.</p>

<h2>This version</h2>
<dl>
<dt>Version</dt><dd>{{ policy.version }}</dd>
<dt>In force since</dt><dd>{{ policy.effective }}</dd>
<dt>Digest (SHA-256 of <a href="/v1/policy">the file</a>)</dt><dd><code>{{ digest }}</code></dd>
</dl>
</main>
</body>
</html>"#
)]
struct Page<'a> {
    policy: &'a Document,
    digest: &'a str,
    horizon: String,
    at_once: Vec<&'a Tier>,
    waiting: i64,
}

/// The privacy policy in force, for people: who answers, purposes, tiers, and how soon a deletion reaches older backups.
#[utoipa::path(get, path = "/privacy", tag = "policy", responses((status = 200, body = String, content_type = "text/html")))]
pub(super) async fn show(State(api): State<Api>) -> Result<Response, Problem> {
    let (rules, status) = (api.flow.rulebook().current(), api.flow.epoch_status().await?);
    let page = Page {
        policy: rules.document(),
        digest: rules.digest(),
        horizon: hours(status.horizon_s),
        at_once: rules.turned_at_once(),
        waiting: status.waiting,
    };
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "the privacy page cannot be made");
        Problem::internal()
    })?;
    Ok(([(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY)], Html(html)).into_response())
}

/// A number of seconds as people say it.
fn hours(seconds: u64) -> String {
    match (seconds / 3600, seconds / 86400) {
        (1, _) => "1 hour".into(),
        (hours, days) if days < 2 || hours % 24 != 0 => format!("{hours} hours"),
        (_, days) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_are_said_as_people_say_them() {
        assert_eq!(
            [1, 24, 47, 48, 50, 720].map(|hours_| hours(hours_ * 3600)),
            ["1 hour", "24 hours", "47 hours", "2 days", "50 hours", "30 days"]
        );
    }

    #[test]
    fn what_the_file_says_cannot_become_markup() {
        let shipped = crate::config::SHIPPED_POLICY.replace("Example Company", "<script>alert(1)</script>");
        let rules = crate::policy::Rules::parse("p", &shipped).unwrap();
        let page = Page { policy: rules.document(), digest: rules.digest(), horizon: hours(86400), at_once: Vec::new(), waiting: 0 };
        let html = page.render().unwrap();
        assert!(!html.contains("<script") && html.contains("&#60;script&#62;"), "{html}");
    }
}
