//! The account that a request names, in each product's own way.
//!
//! Owns the names of the parameter. The token of this account must have signed the request, so a
//! wrong name only makes the signature wrong. Refuses to know any other parameter, but for those
//! that Proxy sorts before the account.

use serde_json::Value;

use crate::model::sid::AccountSid;

/// The parameter of nearly every callback that names the account.
pub(in crate::twilio) const ACCOUNT_SID: &str = "AccountSid";

/// The same parameter in newer products, in forms too.
const NEWER_ACCOUNT_SID: &str = "account_sid";

/// The same parameter of Proxy.
const PROXY_ACCOUNT_SID: &str = "interactionAccountSid";

/// The parameters of Proxy that sort before its account: ids, words and an address of Twilio's.
const BEFORE_PROXYS: [&str; 6] = [
    "inboundParticipantSid",
    "inboundResourceSid",
    "inboundResourceStatus",
    "inboundResourceType",
    "inboundResourceUrl",
    PROXY_ACCOUNT_SID,
];

/// Returns the account of a form or query. The older name takes precedence.
pub(super) fn named_account(params: &[(String, String)]) -> Option<AccountSid> {
    let name = [ACCOUNT_SID, NEWER_ACCOUNT_SID, PROXY_ACCOUNT_SID]
        .into_iter()
        .find(|name| params.iter().any(|(held, _)| held == name))?;
    only(params, name)?.parse().ok()
}

/// Returns the account of a JSON body. Newer products write `account_sid`, older ones
/// `AccountSid`. Events name the account of each resource, or none; therefore the sink's own URL
/// may name it, and otherwise all events must agree.
pub(super) fn named_in_json(value: &Value, query: &[(String, String)]) -> Option<AccountSid> {
    let Value::Array(events) = value else {
        return value
            .get(NEWER_ACCOUNT_SID)
            .or_else(|| value.get(ACCOUNT_SID))?
            .as_str()?
            .parse()
            .ok();
    };
    if query.iter().any(|(name, _)| name == ACCOUNT_SID) {
        return only(query, ACCOUNT_SID)?.parse().ok();
    }
    let mut named = events.iter().filter_map(event_account);
    let first = named.next()?;
    named
        .all(|other| other == first)
        .then_some(first)?
        .parse()
        .ok()
}

/// Returns the account of an event of Event Streams, as its data names it.
pub(in crate::twilio) fn event_account(event: &Value) -> Option<&str> {
    let data = event.get("data")?;
    ["accountSid", ACCOUNT_SID, NEWER_ACCOUNT_SID]
        .into_iter()
        .find_map(|name| data.get(name))?
        .as_str()
}

/// Whether the account parameter sorts first. The signed text has no separator after the URL, so
/// text moved from the query into a parameter that sorts first would still verify.
///
/// In Proxy's forms other parameters sort before it. Those are named exactly: the moved text would
/// have to be one of their names, which no URL of ours contains.
pub(super) fn account_sorts_first(params: &[(String, String)]) -> bool {
    let is_proxys = !params.iter().any(|(name, _)| name == ACCOUNT_SID)
        && params.iter().any(|(name, _)| name == PROXY_ACCOUNT_SID);
    let first = params.iter().map(|(name, _)| name.as_str()).min();
    first.is_none_or(|first| {
        first == ACCOUNT_SID
            || first == NEWER_ACCOUNT_SID
            || (is_proxys && BEFORE_PROXYS.contains(&first))
    })
}

/// Returns the value of a name that has exactly one distinct value.
pub(super) fn only<'a>(params: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    let mut values = params
        .iter()
        .filter(|(name, _)| name == wanted)
        .map(|(_, value)| value.as_str());
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}
