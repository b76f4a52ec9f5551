//! The privacy policy as a web page, in force and in every published version.
//!
//! Owns the form of the page; the template is beside this file. The content comes from the rules
//! that decide, and from the schedule of epoch turns.

use askama::Template;
use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse as _, Response},
};

use super::{Api, gate::Id, problem::Problem};
use crate::{
    flow::Published,
    model::{
        consent::Answer,
        media::MediaKind,
        name::{Purpose, Role, Tier},
        text::PolicyVersion,
    },
    policy::{
        Basis, Cue, Explanation, MessageRule, PolicyDocument, RemovedAtSource, Rules, Spoken,
        TierRule, ToRevoked, VoiceConsent, words,
    },
};

/// Styles are inline, and nothing else is loaded.
const CONTENT_SECURITY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// The relation of a version to the one in force.
#[derive(Clone, Copy, PartialEq, Eq)]
enum VersionStatus {
    Current,
    Earlier,
    Announced,
}

impl VersionStatus {
    fn is_current(self) -> bool {
        self == Self::Current
    }
}

#[derive(Template)]
#[template(path = "privacy.html")]
struct Page<'a> {
    policy: &'a PolicyDocument,
    digest: &'a str,
    standing: VersionStatus,
    effective: String,
    contact_is_mail: bool,
    says_collection: bool,
    /// What is kept, in words, for each kind.
    kept: Vec<String>,
    keeps_more_than_calls: bool,
    keeps_written: bool,
    /// Whether messages to a person who revokes are shredded.
    shreds_received: bool,
    keeps_chats: bool,
    follows_removals: bool,
    keeps_video: bool,
    /// The time for which a recording waits for evidence of consent, if recording is based on
    /// consent.
    quarantine: Option<String>,
    shortest: Option<String>,
    asks_consent: bool,
    asked: Option<CallPrompt<'a>>,
    messages: Vec<MessageKeyword>,
    purposes: Vec<Explanation>,
    tiers: Vec<TierRow<'a>>,
    checks: Vec<ContentPatternRow<'a>>,
    horizon: String,
    at_once: Vec<&'a Tier>,
    waiting: i64,
    others: Vec<VersionRow>,
}

/// A row of the table of tiers.
struct TierRow<'a> {
    name: &'a Tier,
    description: &'a str,
    kept: String,
    approval: String,
}

/// A pattern that is searched for in transcripts.
struct ContentPatternRow<'a> {
    looks_for: String,
    tier: &'a Tier,
}

/// The question in a call.
struct CallPrompt<'a> {
    languages: Vec<PromptText<'a>>,
    purposes: String,
}

/// The question in one language.
struct PromptText<'a> {
    language: &'a str,
    text: &'a str,
    yes: String,
    no: String,
}

/// The meaning of a message.
struct MessageKeyword {
    words: String,
    meaning: String,
}

/// A row of the table of other versions.
struct VersionRow {
    version: String,
    effective: String,
    published: String,
}

impl<'a> Page<'a> {
    fn of(
        rules: &'a Rules,
        standing: VersionStatus,
        horizon: String,
        waiting: i64,
        versions: &[Published],
    ) -> Self {
        let policy = rules.document();
        let collection = &policy.collection;
        let by_consent = collection.basis == Some(Basis::Consent);
        let kinds = &collection.kinds;
        let keeps_more_than_calls = kinds.iter().any(|kind| *kind != MediaKind::CallAudio);
        let keeps_video =
            rules.keeps(MediaKind::VideoTrack) || rules.keeps(MediaKind::VideoComposition);
        let others = versions
            .iter()
            .filter(|other| other.digest != rules.digest());
        let contact = &policy.controller.contact;
        Self {
            policy,
            digest: rules.digest(),
            standing,
            effective: words::day(policy.effective),
            contact_is_mail: contact.contains('@')
                && !contact.contains(|c: char| c.is_whitespace() || c == '?' || c == ':'),
            says_collection: keeps_more_than_calls
                || collection.basis.is_some()
                || collection.disclosure.is_some()
                || policy.consent.voice.is_some()
                || collection.shorter_than.is_some()
                || collection.quieter_than.is_some(),
            kept: kinds
                .iter()
                .map(|kind| sentence(words::kind(*kind)))
                .collect(),
            keeps_more_than_calls,
            keeps_written: kinds.iter().any(|kind| kind.is_written()),
            shreds_received: collection.to_revoked == ToRevoked::Shred,
            keeps_chats: rules.keeps(MediaKind::ChatMessage),
            follows_removals: collection.removed_at_source == RemovedAtSource::Shred,
            keeps_video,
            quarantine: collection
                .quarantine
                .filter(|_| by_consent)
                .map(words::period),
            shortest: collection.shorter_than.map(words::period),
            asked: policy.consent.voice.as_ref().map(CallPrompt::of),
            messages: policy
                .consent
                .messages
                .iter()
                .filter_map(MessageKeyword::of)
                .collect(),
            asks_consent: by_consent
                || policy.consent.voice.is_some()
                || policy
                    .consent
                    .messages
                    .iter()
                    .any(|rule| rule.answer.is_some())
                || policy
                    .purposes
                    .iter()
                    .any(|purpose| purpose.basis == Some(Basis::Consent)),
            purposes: rules.explain(),
            tiers: policy
                .tiers
                .iter()
                .map(|tier| tier_row(rules, tier))
                .collect(),
            checks: policy
                .content
                .iter()
                .map(|rule| ContentPatternRow {
                    looks_for: sentence(&words::pattern(&rule.pattern)),
                    tier: &rule.tier,
                })
                .collect(),
            horizon,
            at_once: rules.immediate_tiers(),
            waiting,
            others: others.map(VersionRow::of).collect(),
        }
    }
}

impl<'a> CallPrompt<'a> {
    fn of(voice: &'a VoiceConsent) -> Self {
        let cue = |cue: &Cue| {
            let quoted: Vec<String> = cue.words.iter().map(|word| format!("“{word}”")).collect();
            let words = if quoted.is_empty() {
                String::new()
            } else {
                format!(", or {}", words::listed(&quoted, "or"))
            };
            format!("key {}{words}", cue.digit)
        };
        let language = |spoken: &'a Spoken| PromptText {
            language: &spoken.language,
            text: &spoken.text,
            yes: cue(&spoken.yes),
            no: cue(&spoken.no),
        };
        Self {
            languages: voice.languages.iter().map(language).collect(),
            purposes: words::listed(&names(&voice.purposes), "and"),
        }
    }
}

impl MessageKeyword {
    /// Returns `None` for a rule that only sends a reply.
    fn of(rule: &MessageRule) -> Option<Self> {
        let meaning = match rule.answer? {
            Answer::Given => "you agree to",
            Answer::Declined => "you do not agree to",
            Answer::Withdrawn => "you withdraw your consent to",
            Answer::Informed => return None,
        };
        let mut said: Vec<String> = rule.words.iter().map(|word| format!("“{word}”")).collect();
        said.extend(
            rule.opt_out
                .map(|opt_out| format!("any message that Twilio classifies as “{opt_out}”")),
        );
        let to = if rule.purposes.is_empty() {
            "everything that rests on it".to_owned()
        } else {
            words::listed(&names(&rule.purposes), "and")
        };
        Some(Self {
            words: sentence(&words::listed(&said, "or")),
            meaning: format!("{meaning} {to}"),
        })
    }
}

fn names(purposes: &[Purpose]) -> Vec<&str> {
    purposes.iter().map(Purpose::as_str).collect()
}

impl VersionRow {
    fn of(published: &Published) -> Self {
        Self {
            version: published.version.clone(),
            effective: words::day(published.effective),
            published: words::day(published.published_at),
        }
    }
}

fn tier_row<'a>(rules: &Rules, tier: &'a TierRule) -> TierRow<'a> {
    let kept = rules
        .limit(&tier.name)
        .map(|limit| format!("after {}", words::period(limit.period)));
    let approval = tier.approval.as_ref().map(|approval| {
        let names: Vec<&str> = approval.roles.iter().map(Role::as_str).collect();
        let exception = if approval.break_glass.is_empty() {
            ""
        } else {
            "; in an emergency nobody, but then a reason is recorded and an alarm is raised"
        };
        format!("{}{exception}", words::listed(&names, "or"))
    });
    TierRow {
        name: &tier.name,
        description: &tier.description,
        kept: kept.unwrap_or_else(|| "no period is set".to_owned()),
        approval: approval.unwrap_or_else(|| "not needed".to_owned()),
    }
}

/// Returns the text with an initial capital letter.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

/// Returns the privacy policy in force as a page: the controller, the purposes, the retention, the
/// rights of recorded people, and how soon a deletion reaches older backups.
#[utoipa::path(get, path = "/privacy", operation_id = "getPrivacyPage", tag = "policy", responses((status = 200, body = String, content_type = "text/html")))]
pub(super) async fn show(State(api): State<Api>) -> Result<Response, Problem> {
    let status = api.flow.epochs.status().await?;
    let versions = api.flow.policies.all().await?;
    let rules = api.flow.rulebook.current();
    rendered(&Page::of(
        rules,
        VersionStatus::Current,
        hours(status.horizon_s),
        status.waiting,
        &versions,
    ))
}

/// Returns a published version of the privacy policy as a page.
#[utoipa::path(get, path = "/privacy/{version}", operation_id = "getPrivacyPageVersion", tag = "policy", params(("version" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404, body = Problem)))]
pub(super) async fn version(
    State(api): State<Api>,
    Id(version): Id<PolicyVersion>,
) -> Result<Response, Problem> {
    let (published, rules) = api.flow.policies.find(version.as_str()).await?;
    let status = api.flow.epochs.status().await?;
    let versions = api.flow.policies.all().await?;
    let standing = match (published.current, published.in_force_at) {
        (true, _) => VersionStatus::Current,
        (false, Some(_)) => VersionStatus::Earlier,
        (false, None) => VersionStatus::Announced,
    };
    rendered(&Page::of(
        &rules,
        standing,
        hours(status.horizon_s),
        status.waiting,
        &versions,
    ))
}

fn rendered(page: &Page<'_>) -> Result<Response, Problem> {
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "the privacy page cannot be made");
        Problem::internal()
    })?;
    Ok((
        [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY)],
        Html(html),
    )
        .into_response())
}

/// Formats a number of seconds in hours or days.
fn hours(seconds: u64) -> String {
    match (seconds / 3600, seconds / 86400) {
        (1, _) => "1 hour".into(),
        (hours, days) if days < 2 || hours % 24 != 0 => format!("{hours} hours"),
        (_, days) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests;
