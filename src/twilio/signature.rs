//! `X-Twilio-Signature`: the authentication of callbacks.
//!
//! Owns the signature (<https://www.twilio.com/docs/usage/security>): HMAC-SHA1 under the account's
//! auth token over the URL that Twilio called and, for a form, every parameter. Refuses to know the
//! meaning of the parameters, except for the account. Twilio sends neither a time nor a nonce, so a
//! request can be replayed: its effects must be idempotent.
//!
//! INVARIANT: a [`Verified`] exists only for a request whose signature matched a token or shared
//! key of the account that it names. The URL is built from the configured [`PublicUrl`], never from
//! the caller's headers.

mod named;

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::{Choice, ConstantTimeEq as _};

pub(super) use self::named::ACCOUNT_SID;
use self::named::{account_sorts_first, named_account, named_in_json, only};
use super::{
    account::{Account, Accounts, Algorithm},
    form::{self, FormError},
    public_url::PublicUrl,
};
use crate::{
    model::{json, sid::AccountSid},
    secret::SecretText,
};

/// The header that carries the signature.
pub const HEADER: &str = "X-Twilio-Signature";

/// The header that names the signing key and the algorithm: `key=NAME,algorithm=HMAC_SHA256`.
/// Absent: the auth token, with SHA-1.
pub const SETTINGS_HEADER: &str = "X-Twilio-Webhooks-Signature-Settings";

/// Twilio's query parameter with the SHA-256 of a JSON body, lower-case hex.
pub(super) const BODY_DIGEST: &str = "bodySHA256";

/// A request as it arrived, not decoded.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// Path and query exactly as in the request line.
    pub path_and_query: &'a str,
    /// The value of [`HEADER`], if there is exactly one.
    pub signature: Option<&'a str>,
    /// The value of [`SETTINGS_HEADER`], if there is one; several that differ name no key.
    pub settings: Option<&'a str>,
    /// The transport of the parameters.
    pub delivery: Delivery<'a>,
}

/// The transport of a request's parameters.
#[derive(Clone, Copy)]
pub enum Delivery<'a> {
    /// GET: all of them are in the query. Route GET only where callbacks are configured so.
    Query,
    /// POST.
    Body {
        /// The value of `Content-Type`.
        content_type: Option<&'a str>,
        /// The raw body.
        bytes: &'a [u8],
    },
}

/// A request that the named account has signed. Its `Debug` shows the account only: the rest may be
/// personal data.
pub struct Verified {
    account: AccountSid,
    query: Vec<(String, String)>,
    content: Content,
}

enum Content {
    Query,
    Form(Vec<(String, String)>),
    Json(serde_json::Value),
}

/// The reason for refusing a request.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// It cannot be parsed; answer 400.
    #[error("the request cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// It is not signed by a known account; answer 403, the same for every reason.
    #[error("the request is not signed by a known account: {0}")]
    Forbidden(Forbidden),
}

/// The part that cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Form or query.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The content type is JSON, but the body is not.
    #[error("the body is not JSON")]
    Json,
    /// Neither a form nor JSON.
    #[error(
        "the content type is neither `application/x-www-form-urlencoded` nor `application/json`"
    )]
    ContentType,
}

/// The reason why a request is forbidden: for our own log, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// No signature header.
    #[error("it carries no `{HEADER}`")]
    Unsigned,
    /// No account, several, or one without an entry in the settings.
    #[error("the account it names has no entry under `twilio.accounts`")]
    UnknownAccount,
    /// A JSON body without its digest in the query, or with another one.
    #[error("`{BODY_DIGEST}` in its query differs from the digest of its body")]
    BodyDigest,
    /// A shared key that the account does not have, or not with this algorithm.
    #[error(
        "its `{SETTINGS_HEADER}` names a key or an algorithm that is not configured: compare `shared_keys` of the account with the webhook settings at Twilio"
    )]
    UnknownKey,
    /// Signed by an auth token where a shared key must sign.
    #[error(
        "it is signed by no shared key, and the account has `require_shared_key`: add a rule for this URL to the webhook settings at Twilio"
    )]
    NoSharedKey,
    /// Text of its URL may have become parameters of its body: the signature cannot distinguish
    /// them.
    #[error(
        "a parameter of its body precedes the account's in the order of the signature and may be a \
         part of its URL; Twilio sends no such parameter"
    )]
    AmbiguousUrl,
    /// No key of the account made this signature over any form of our URL.
    #[error(
        "no auth token of its account gives this signature; compare `public_url` with the URL configured at Twilio, and the auth token"
    )]
    WrongSignature,
}

impl Verified {
    /// The account that signed.
    pub fn account(&self) -> &AccountSid {
        &self.account
    }

    /// Returns Twilio's parameters: the form, or the query of a GET. Empty for JSON.
    pub fn params(&self) -> &[(String, String)] {
        match &self.content {
            Content::Query => &self.query,
            Content::Form(params) => params,
            Content::Json(_) => &[],
        }
    }

    /// Returns the query of the callback URL. For a GET, Twilio's own parameters are among them.
    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// Returns the body, if it is JSON.
    pub fn json(&self) -> Option<&serde_json::Value> {
        match &self.content {
            Content::Json(value) => Some(value),
            Content::Query | Content::Form(_) => None,
        }
    }

    /// Whether all parameters came in the query.
    pub(super) fn is_get(&self) -> bool {
        matches!(self.content, Content::Query)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Checks the signature of a request.
///
/// The account is the one that the request names, so that a subaccount's token is valid for that
/// subaccount only. An unknown account costs the same work as a known one and is refused like a
/// wrong signature.
pub fn verify(
    accounts: &Accounts,
    public: &PublicUrl,
    request: &SignedRequest<'_>,
) -> Result<Verified, Rejection> {
    let raw_query = request
        .path_and_query
        .split_once('?')
        .map_or("", |(_, query)| query);
    let query = form::decode(raw_query.as_bytes()).map_err(Malformed::Form)?;
    let (content, digest_fits) = content(request.delivery, &query)?;

    let (signed_params, named) = match &content {
        Content::Query => (&[][..], named_account(&query)),
        Content::Form(params) => (params.as_slice(), named_account(params)),
        Content::Json(value) => (&[][..], named_in_json(value, &query)),
    };
    let known = named.as_ref().and_then(|sid| accounts.get(sid));
    // Its signatures are never accepted; it only makes the time independent of the account.
    let decoy = SecretText::new("0".repeat(32));
    let keys = known.map_or_else(Vec::new, |account| signing_keys(account, request.settings));
    let is_key_known = !keys.is_empty();
    let keys = if is_key_known {
        keys
    } else {
        vec![key(&decoy)]
    };
    let candidates = candidates(public, request.path_and_query);
    let matched = matches(
        &keys,
        &candidates,
        signed_params,
        request.signature.unwrap_or_default(),
    );

    let refuse = |why| Err(Rejection::Forbidden(why));
    match known {
        _ if request.signature.is_none() => refuse(Forbidden::Unsigned),
        None => refuse(Forbidden::UnknownAccount),
        Some(account) if account.require_shared_key && request.settings.is_none() => {
            refuse(Forbidden::NoSharedKey)
        }
        Some(_) if !is_key_known => refuse(Forbidden::UnknownKey),
        Some(_) if !matched => refuse(Forbidden::WrongSignature),
        Some(_) if !digest_fits => refuse(Forbidden::BodyDigest),
        Some(_) if !account_sorts_first(signed_params) => refuse(Forbidden::AmbiguousUrl),
        Some(account) => Ok(Verified {
            account: account.sid().clone(),
            query,
            content,
        }),
    }
}

/// Returns the signature of a request, as in [`HEADER`]: base64 of the HMAC-SHA1 of `url` followed
/// by every parameter.
///
/// `params` are the decoded form parameters; empty for GET and JSON. Twilio puts no separator
/// between URL, names and values, so the signature does not cover their boundaries: every parameter
/// must be checked against its form.
pub fn sign(token: &SecretText, url: &str, params: &[(String, String)]) -> String {
    mac(&key(token), url, &tail(params))
}

/// Returns the forms of our URL that Twilio may have signed.
///
/// Twilio signs with or without a port, depending on product and scheme; so: no port, the scheme's
/// own port, the configured port. It signs an apostrophe in the query literally or as `%27`, for
/// URLs from a WHATWG serialiser (Twilio's Node library tries both as well). A proxy may encode
/// escapes in another way than they were signed (`%27` for `'`, `+` for `%20`, `%2f`, `?flag` for
/// `?flag=`): the query is also tried in the form of Node's `querystring`. That is safe because the
/// form has the same names and values in the same order, and nothing else is read. User names and
/// passwords are never part of the URL. The set follows from configuration and the request line
/// alone.
pub fn candidates(public: &PublicUrl, path_and_query: &str) -> Vec<String> {
    let mut ports = vec![None, Some(public.default_port())];
    if let Some(port) = public.port().filter(|&port| port != public.default_port()) {
        ports.push(Some(port));
    }
    let mut texts = vec![path_and_query.to_owned()];
    if let Some((path, query)) = path_and_query.split_once('?') {
        if query.contains('\'') {
            texts.push(format!("{path}?{}", query.replace('\'', "%27")));
        }
        let rewritten =
            form::decode(query.as_bytes()).map(|pairs| format!("{path}?{}", rewritten(&pairs)));
        texts.extend(
            rewritten
                .ok()
                .filter(|rewritten| rewritten != path_and_query),
        );
    }
    texts
        .iter()
        .flat_map(|text| ports.iter().map(|&port| public.with_port(port, text)))
        .collect()
}

/// Serialises a query like Node's `querystring.stringify`: everything escaped but `A-Za-z0-9` and
/// `!'()*-._~`.
fn rewritten(pairs: &[(String, String)]) -> String {
    let escaped = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!'()*-._~".contains(&byte);
        text.bytes()
            .map(|byte| {
                if plain(byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    };
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// Returns the keys that may have signed: the auth tokens, or the shared key that the request names
/// if the account has it with that algorithm. A request can choose among the configured keys, but
/// never another algorithm for one.
fn signing_keys(account: &Account, settings: Option<&str>) -> Vec<hmac::Key> {
    let Some(settings) = settings else {
        return account.auth_tokens().iter().map(key).collect();
    };
    let said = |wanted: &str| {
        let mut values = settings
            .split(',')
            .filter_map(|part| part.split_once('='))
            .filter(|(name, _)| name.trim() == wanted);
        values
            .next()
            .filter(|_| values.next().is_none())
            .map(|(_, value)| value.trim())
    };
    let algorithm = match said("algorithm").map(str::to_ascii_uppercase).as_deref() {
        Some("HMAC_SHA256") => Algorithm::Sha256,
        Some("HMAC_SHA1") => Algorithm::Sha1,
        _ => return Vec::new(),
    };
    let known = account.shared_keys.iter().filter(|shared| {
        said("key") == Some(shared.name.as_str()) && shared.algorithm == algorithm
    });
    let hash = match algorithm {
        Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Sha256 => hmac::HMAC_SHA256,
    };
    known
        .map(|shared| hmac::Key::new(hash, shared.secret.expose().as_bytes()))
        .collect()
}

/// Tries every key on every candidate; the time does not depend on which one matches.
fn matches(
    keys: &[hmac::Key],
    candidates: &[String],
    params: &[(String, String)],
    signature: &str,
) -> bool {
    let tail = tail(params);
    let mut found = Choice::from(0);
    for key in keys {
        for url in candidates {
            found |= mac(key, url, &tail).as_bytes().ct_eq(signature.as_bytes());
        }
    }
    found.into()
}

fn key(token: &SecretText) -> hmac::Key {
    hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        token.expose().as_bytes(),
    )
}

fn mac(key: &hmac::Key, url: &str, tail: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(url.as_bytes());
    context.update(tail.as_bytes());
    STANDARD.encode(context.sign())
}

/// Sorts names in byte order, and the distinct values of each name in byte order; joins names and
/// values without separators.
fn tail(params: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = params.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
        .into_iter()
        .flat_map(|(name, value)| [name.as_str(), value.as_str()])
        .collect()
}

/// Decodes the content. The `bool` tells whether the digest that a JSON body requires is present
/// and correct.
fn content(
    delivery: Delivery<'_>,
    query: &[(String, String)],
) -> Result<(Content, bool), Malformed> {
    let Delivery::Body {
        content_type,
        bytes,
    } = delivery
    else {
        return Ok((Content::Query, true));
    };
    let kind = content_type
        .and_then(|text| text.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match kind.as_str() {
        "application/x-www-form-urlencoded" => Ok((Content::Form(form::decode(bytes)?), true)),
        // A POST without parameters needs no content type.
        "" if bytes.is_empty() => Ok((Content::Form(Vec::new()), true)),
        "application/json" | "application/cloudevents-batch+json" => {
            let value = read_json(bytes).ok_or(Malformed::Json)?;
            Ok((Content::Json(value), digest_fits(query, bytes)))
        }
        _ => Err(Malformed::ContentType),
    }
}

/// Reads a JSON object, or an array of events. Array and object have the same strictness: as the
/// only member of an object, an array is read by the same rules, and nothing can stand beside it.
fn read_json(bytes: &[u8]) -> Option<serde_json::Value> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        events: Vec<serde_json::Value>,
    }

    if !bytes.trim_ascii_start().starts_with(b"[") {
        return json::read(bytes).ok();
    }
    let wrapped = [b"{\"events\":".as_slice(), bytes, b"}"].concat();
    let batch: Batch = json::read(&wrapped).ok()?;
    Some(serde_json::Value::Array(batch.events))
}

/// A JSON body is signed through its digest in the query; without that, it is not authenticated.
fn digest_fits(query: &[(String, String)], body: &[u8]) -> bool {
    let expected = hex::encode(digest::digest(&digest::SHA256, body));
    only(query, BODY_DIGEST).is_some_and(|given| given == expected)
}

#[cfg(test)]
mod tests;
