//! The query of our own callback URL, which the operator configured at Twilio.
//!
//! Owns which parameters are Twilio's own and not the operator's. Refuses to know what they mean:
//! the policy reads them.

use super::signature::{ACCOUNT_SID, BODY_DIGEST, Verified};

/// Returns the query of our own URL, without the parameters that Twilio adds.
pub(super) fn own_query(verified: &Verified) -> Vec<(String, String)> {
    let theirs = |name: &str| name == BODY_DIGEST || (verified.is_get() && is_twilios(name));
    verified
        .query()
        .iter()
        .filter(|(name, _)| !theirs(name))
        .cloned()
        .collect()
}

/// Whether Twilio uses this parameter name in voice requests.
///
/// A list and not a pattern, so that an operator's own `Team` or `Topic` is kept. Only the
/// locations of the parties (`FromCity`, `CallerZip`), the recording's parameters and SIP headers
/// are open-ended families.
fn is_twilios(name: &str) -> bool {
    const NAMES: &[&str] = &[
        ACCOUNT_SID,
        "AddOns",
        "ApiVersion",
        "ApplicationSid",
        "CallSid",
        "CallStatus",
        "CallToken",
        "CallbackSource",
        "Called",
        "Caller",
        "CallerId",
        "CallerName",
        "ConferenceSid",
        "Digits",
        "Direction",
        "EncryptionDetails",
        "ErrorCode",
        "ForwardedFrom",
        "From",
        "ParentCallSid",
        "SequenceNumber",
        "StirPassportToken",
        "StirStatus",
        "StirVerstat",
        "Timestamp",
        "To",
    ];
    const PLACES: &[&str] = &["City", "State", "Zip", "Country"];
    let is_place = |party: &str| {
        name.strip_prefix(party)
            .is_some_and(|rest| PLACES.contains(&rest))
    };
    NAMES.contains(&name)
        || ["From", "To", "Caller", "Called"].into_iter().any(is_place)
        || name.starts_with("Recording")
        || name.starts_with("SipHeader_")
}
