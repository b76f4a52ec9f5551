//! Signed requests, for tests of the parsers.

use std::path::Path;

use super::{
    account::{AccountSettings, TwilioSettings},
    signature::{self, Delivery, SignedRequest, Verified},
};
use crate::secret::SecretText;

const PUBLIC: &str = "https://vault.example.com";

/// A SID that repeats one digit.
pub(super) fn sid(prefix: &str, digit: &str) -> String {
    format!("{prefix}{}", digit.repeat(32))
}

fn token() -> SecretText {
    SecretText::new("12345".into())
}

fn verify(request: &SignedRequest<'_>) -> Verified {
    let account = AccountSettings::new(sid("AC", "0").parse().unwrap(), vec![token()]);
    let accounts = TwilioSettings {
        accounts: vec![account],
        ..TwilioSettings::default()
    }
    .resolve(Path::new("/"))
    .unwrap();
    signature::verify(&accounts, &PUBLIC.parse().unwrap(), request).unwrap()
}

/// A form that the account `AC000…` posted.
pub(super) fn post_form(path: &str, params: &[(String, String)]) -> Verified {
    let signature = signature::sign(&token(), &format!("{PUBLIC}{path}"), params);
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish();
    let delivery = Delivery::Body {
        content_type: Some("application/x-www-form-urlencoded"),
        bytes: body.as_bytes(),
    };
    verify(&SignedRequest {
        path_and_query: path,
        signature: Some(&signature),
        settings: None,
        delivery,
    })
}

/// The same request by GET.
pub(super) fn get(path: &str) -> Verified {
    let signature = signature::sign(&token(), &format!("{PUBLIC}{path}"), &[]);
    verify(&SignedRequest {
        path_and_query: path,
        signature: Some(&signature),
        settings: None,
        delivery: Delivery::Query,
    })
}
