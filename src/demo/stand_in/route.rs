//! The route table of the whole interface.

mod products;

use axum::http::Method;

use super::wrong::Call;

/// The meaning of a request.
pub(super) struct Ask {
    pub(super) call: Call,
    /// `AC…` in the path; the newer interfaces have none there.
    pub(super) account: Option<String>,
    pub(super) below: Below,
    /// The resource's own SID in the path; empty for lists. For media, with its suffix.
    pub(super) sid: String,
}

/// The parent of a list or a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Below {
    Account,
    Call(String),
    Conference(String),
    Recording(String),
    Message(String),
    /// The ids in the path of another product, from the outside in; empty where there is none.
    Ids(Vec<String>),
}

impl Ask {
    /// Returns an id of the path of another product.
    pub(super) fn id(&self, place: usize) -> &str {
        match &self.below {
            Below::Ids(ids) => ids.get(place).map_or("", String::as_str),
            _ => "",
        }
    }
}

/// Routes a request. `None` if there is no such path, or no such method.
pub(super) fn route(method: &Method, path: &str) -> Option<Ask> {
    let path = path.strip_prefix('/')?;
    if let Some(path) = path.strip_prefix("v2/") {
        return intelligence(method, &path.split('/').collect::<Vec<_>>());
    }
    if let Some(path) = path.strip_prefix("v1/") {
        return products::v1(method.as_str(), &path.split('/').collect::<Vec<_>>());
    }
    let path = path.strip_prefix("2010-04-01/")?;
    let Some(path) = path.strip_suffix(".json") else {
        return match *path.split('/').collect::<Vec<_>>() {
            ["Accounts", account, "Recordings", file] if method == Method::GET => {
                Some(ask(Call::Media, account, Below::Account, file))
            }
            ["Accounts", account, "Messages", message, "Media", file] if method == Method::GET => {
                let below = Below::Message(message.to_owned());
                Some(ask(Call::MessageFile, account, below, file))
            }
            _ => None,
        };
    };
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["Accounts"] if method == Method::GET => Some(Ask {
            account: None,
            ..ask(Call::AccountList, "", Below::Account, "")
        }),
        ["Accounts", account] if method == Method::GET => {
            Some(ask(Call::Account, account, Below::Account, account))
        }
        ["Accounts", account, rest @ ..] => of_account(method, account, rest),
        _ => None,
    }
}

fn of_account(method: &Method, account: &str, rest: &[&str]) -> Option<Ask> {
    use Below::{Account, Conference, Recording};
    let (below, rest) = match rest {
        ["Calls", call, rest @ ..] if !rest.is_empty() => (Below::Call((*call).to_owned()), rest),
        ["Conferences", conference, rest @ ..] if !rest.is_empty() => {
            (Conference((*conference).to_owned()), rest)
        }
        ["Recordings", recording, rest @ ..] if !rest.is_empty() => {
            (Recording((*recording).to_owned()), rest)
        }
        ["Messages", message, rest @ ..] if !rest.is_empty() => {
            (Below::Message((*message).to_owned()), rest)
        }
        rest => (Account, rest),
    };
    let (call, sid) = match (method.as_str(), &below, rest) {
        ("GET", Account | Below::Call(_) | Conference(_), ["Recordings"]) => {
            (Call::RecordingList, "")
        }
        ("GET", Account | Below::Call(_) | Conference(_), ["Recordings", sid]) => {
            (Call::RecordingFetch, *sid)
        }
        ("DELETE", Account | Below::Call(_) | Conference(_), ["Recordings", sid]) => {
            (Call::RecordingDelete, *sid)
        }
        ("POST", Below::Call(_), ["Recordings"]) => (Call::RecordingStart, ""),
        ("POST", Below::Call(_) | Conference(_), ["Recordings", sid]) => {
            (Call::RecordingUpdate, *sid)
        }
        ("GET", Account | Recording(_), ["Transcriptions"]) => (Call::TranscriptionList, ""),
        ("GET", Account | Recording(_), ["Transcriptions", sid]) => {
            (Call::TranscriptionFetch, *sid)
        }
        ("DELETE", Account | Recording(_), ["Transcriptions", sid]) => {
            (Call::TranscriptionDelete, *sid)
        }
        ("GET", Recording(_), ["AddOnResults"]) => (Call::AddOnList, ""),
        ("GET", Recording(_), ["AddOnResults", sid]) => (Call::AddOnFetch, *sid),
        ("DELETE", Recording(_), ["AddOnResults", sid]) => (Call::AddOnDelete, *sid),
        ("GET", Account, ["Calls"]) => (Call::CallList, ""),
        ("GET", Account, ["Calls", sid]) => (Call::CallFetch, *sid),
        ("GET", Account, ["Conferences", sid]) => (Call::ConferenceFetch, *sid),
        ("GET", Conference(_), ["Participants"]) => (Call::ParticipantList, ""),
        ("GET", Account, ["IncomingPhoneNumbers"]) => (Call::NumberList, ""),
        ("GET", Account, ["Messages"]) => (Call::MessageList, ""),
        ("GET", Account, ["Messages", sid]) => (Call::MessageFetch, *sid),
        ("POST", Account, ["Messages"]) => (Call::MessageCreate, ""),
        ("POST", Account, ["Messages", sid]) => (Call::MessageUpdate, *sid),
        ("DELETE", Account, ["Messages", sid]) => (Call::MessageDelete, *sid),
        ("GET", Below::Message(_), ["Media"]) => (Call::MessageMediaList, ""),
        ("GET", Below::Message(_), ["Media", sid]) => (Call::MessageMediaFetch, *sid),
        ("DELETE", Below::Message(_), ["Media", sid]) => (Call::MessageMediaDelete, *sid),
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
    Some(Ask {
        account: None,
        ..ask(call, "", Below::Account, sid)
    })
}

fn ask(call: Call, account: &str, below: Below, sid: &str) -> Ask {
    Ask {
        call,
        account: Some(account.to_owned()),
        below,
        sid: sid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_path_means_one_thing_or_nothing(
            words in proptest::collection::vec("v1|v2|2010-04-01|Accounts|Calls|Recordings|Services|Sessions|Conversations|Messages|Rooms|Media|Transcripts|Sentences|AC1|RE1|[./]{0,2}|.{0,4}", 0..8),
            method in "GET|POST|DELETE|PUT",
            json in any::<bool>(),
        ) {
            let path = format!("/{}{}", words.join("/"), if json { ".json" } else { "" });
            if let Some(ask) = route(&method.parse().unwrap(), &path) {
                prop_assert!(path.contains(&ask.sid));
                prop_assert_eq!(ask.account.is_none(), path.starts_with("/v1/") || path.starts_with("/v2/") || ask.call == Call::AccountList);
            }
        }
    }

    #[test]
    fn what_hangs_on_a_call_or_a_recording_is_told_apart() {
        let below = |path: &str| {
            route(
                &Method::GET,
                &format!("/2010-04-01/Accounts/AC1/{path}.json"),
            )
            .map(|ask| (ask.call, ask.below))
        };
        let recording = Below::Recording("RE1".to_owned());
        for (path, expected) in [
            (
                "Recordings/RE1/Transcriptions",
                Some((Call::TranscriptionList, recording.clone())),
            ),
            (
                "Recordings/RE1/AddOnResults/XR1",
                Some((Call::AddOnFetch, recording)),
            ),
            (
                "Calls/CA1/Recordings",
                Some((Call::RecordingList, Below::Call("CA1".to_owned()))),
            ),
            (
                "Conferences/CF1/Participants",
                Some((Call::ParticipantList, Below::Conference("CF1".to_owned()))),
            ),
            ("Calls/CA1/Participants", None),
            ("Recordings/RE1/Recordings", None),
            ("AddOnResults", None),
        ] {
            assert_eq!(below(path), expected, "{path}");
        }
    }
}
