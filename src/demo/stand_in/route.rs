//! The whole interface on one page: which request means what.

use axum::http::Method;

use super::Call;

/// What a request is for.
pub(super) struct Ask {
    pub(super) call: Call,
    /// `AC…` of the path; the newer interfaces have none there.
    pub(super) account: Option<String>,
    pub(super) below: Below,
    /// The resource's own SID, as it stands in the path; empty for lists. Of media, with its suffix.
    pub(super) sid: String,
}

/// What a list or a resource stands below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Below {
    Account,
    Call(String),
    Conference(String),
    Recording(String),
}

/// `None`: there is nothing of this name, or it cannot be done.
pub(super) fn route(method: &Method, path: &str) -> Option<Ask> {
    let path = path.strip_prefix('/')?;
    if let Some(path) = path.strip_prefix("v2/") {
        return intelligence(method, &path.split('/').collect::<Vec<_>>());
    }
    let path = path.strip_prefix("2010-04-01/")?;
    let Some(path) = path.strip_suffix(".json") else {
        return match *path.split('/').collect::<Vec<_>>() {
            ["Accounts", account, "Recordings", file] if method == Method::GET => Some(ask(Call::Media, account, Below::Account, file)),
            _ => None,
        };
    };
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["Accounts"] if method == Method::GET => Some(Ask { account: None, ..ask(Call::AccountList, "", Below::Account, "") }),
        ["Accounts", account] if method == Method::GET => Some(ask(Call::Account, account, Below::Account, account)),
        ["Accounts", account, rest @ ..] => of_account(method, account, rest),
        _ => None,
    }
}

fn of_account(method: &Method, account: &str, rest: &[&str]) -> Option<Ask> {
    use Below::{Account, Conference, Recording};
    let (below, rest) = match rest {
        ["Calls", call, rest @ ..] if !rest.is_empty() => (Below::Call((*call).to_owned()), rest),
        ["Conferences", conference, rest @ ..] if !rest.is_empty() => (Conference((*conference).to_owned()), rest),
        ["Recordings", recording, rest @ ..] if !rest.is_empty() => (Recording((*recording).to_owned()), rest),
        rest => (Account, rest),
    };
    let (call, sid) = match (method.as_str(), &below, rest) {
        ("GET", Account | Below::Call(_) | Conference(_), ["Recordings"]) => (Call::RecordingList, ""),
        ("GET", Account | Below::Call(_) | Conference(_), ["Recordings", sid]) => (Call::RecordingFetch, *sid),
        ("DELETE", Account | Below::Call(_) | Conference(_), ["Recordings", sid]) => (Call::RecordingDelete, *sid),
        ("POST", Below::Call(_), ["Recordings"]) => (Call::RecordingStart, ""),
        ("POST", Below::Call(_) | Conference(_), ["Recordings", sid]) => (Call::RecordingUpdate, *sid),
        ("GET", Account | Recording(_), ["Transcriptions"]) => (Call::TranscriptionList, ""),
        ("GET", Account | Recording(_), ["Transcriptions", sid]) => (Call::TranscriptionFetch, *sid),
        ("DELETE", Account | Recording(_), ["Transcriptions", sid]) => (Call::TranscriptionDelete, *sid),
        ("GET", Recording(_), ["AddOnResults"]) => (Call::AddOnList, ""),
        ("GET", Recording(_), ["AddOnResults", sid]) => (Call::AddOnFetch, *sid),
        ("DELETE", Recording(_), ["AddOnResults", sid]) => (Call::AddOnDelete, *sid),
        ("GET", Account, ["Calls"]) => (Call::CallList, ""),
        ("GET", Account, ["Calls", sid]) => (Call::CallFetch, *sid),
        ("GET", Account, ["Conferences", sid]) => (Call::ConferenceFetch, *sid),
        ("GET", Conference(_), ["Participants"]) => (Call::ParticipantList, ""),
        ("GET", Account, ["IncomingPhoneNumbers"]) => (Call::NumberList, ""),
        _ => return None,
    };
    Some(ask(call, account, below, sid))
}

fn intelligence(method: &Method, rest: &[&str]) -> Option<Ask> {
    let (call, sid) = match (method.as_str(), rest) {
        ("GET", ["Transcripts"]) => (Call::TranscriptList, ""),
        ("GET", ["Transcripts", sid]) => (Call::TranscriptFetch, *sid),
        ("GET", ["Transcripts", sid, "Sentences"]) => (Call::TranscriptSentences, *sid),
        ("DELETE", ["Transcripts", sid]) => (Call::TranscriptDelete, *sid),
        _ => return None,
    };
    Some(Ask { account: None, ..ask(call, "", Below::Account, sid) })
}

fn ask(call: Call, account: &str, below: Below, sid: &str) -> Ask {
    Ask { call, account: Some(account.to_owned()), below, sid: sid.to_owned() }
}
