//! Signed text: JWS compact serialisation (RFC 7515) with EdDSA (RFC 8037).
//!
//! Owns the three parts and every check of them. Refuses to know the meaning of the payload, and to
//! trust the header: there is one algorithm, the key is looked up among known keys, and the type
//! must be the expected one (RFC 8725, sections 3.1, 3.10 and 3.11). INVARIANT: a payload is
//! returned only after its signature was verified.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::signing::{KeySet, Signer};

/// The maximum length in bytes; a longer text is not parsed.
pub const MAX_LEN: usize = 64 * 1024;

/// Why a text is not the expected signed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Longer than [`MAX_LEN`].
    #[error("the signed text is longer than 65536 bytes")]
    TooLong,
    /// Not `header.payload.signature`.
    #[error("not a JWS in compact form: expected three parts joined by `.`")]
    NotThreeParts,
    /// A part is not base64url without padding, or not in its one canonical form.
    #[error("the {0} is not base64url without padding")]
    Base64(&'static str),
    /// The header is not a JSON object of `alg`, `kid` and `typ`, each once.
    #[error("the header is not a JSON object of `alg`, `kid` and `typ`")]
    Header,
    /// The header requires extensions (RFC 7515, section 4.1.11); none is supported.
    #[error("the header requires extensions (`crit`), which are not supported")]
    Critical,
    /// `none`, or any other algorithm than EdDSA.
    #[error("`alg` of the header is not `EdDSA`")]
    Algorithm,
    /// Signed for another use.
    #[error("`typ` of the header is not that of the expected document")]
    Type,
    /// No known key has this id.
    #[error("`kid` of the header names a key that is not in the key set")]
    UnknownKey,
    /// Header or payload were changed, or another key signed.
    #[error("the signature does not match header and payload")]
    Signature,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// Signs the payload as a document of type `typ`.
pub fn sign(signer: &Signer, typ: &'static str, payload: &[u8]) -> String {
    let header =
        serde_json::json!({ "alg": "EdDSA", "kid": signer.key_id(), "typ": typ }).to_string();
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(input.as_bytes()));
    format!("{input}.{signature}")
}

/// Returns the payload of a document of type `typ` that one of the keys signed.
///
/// # Errors
/// The first check that failed.
pub fn verify(text: &str, typ: &str, keys: &KeySet) -> Result<Vec<u8>, Error> {
    if text.len() > MAX_LEN {
        return Err(Error::TooLong);
    }
    let (input, signature) = text.rsplit_once('.').ok_or(Error::NotThreeParts)?;
    let (header, payload) = input.split_once('.').ok_or(Error::NotThreeParts)?;
    if payload.contains('.') {
        return Err(Error::NotThreeParts);
    }
    let decode = |part: &str, what| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| Error::Base64(what))
    };
    let header = decode(header, "header")?;
    let signature = decode(signature, "signature")?;
    let header = read_header(&header)?;
    if header.alg != "EdDSA" {
        return Err(Error::Algorithm);
    }
    if header.typ != typ {
        return Err(Error::Type);
    }
    let key = keys.find(header.kid).ok_or(Error::UnknownKey)?;
    if !key.verify(input.as_bytes(), &signature) {
        return Err(Error::Signature);
    }
    decode(payload, "payload")
}

fn read_header(json: &[u8]) -> Result<Header<'_>, Error> {
    serde_json::from_slice(json).map_err(|_| {
        let open = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(json);
        if open.is_ok_and(|members| members.contains_key("crit")) {
            Error::Critical
        } else {
            Error::Header
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Key;

    const TYP: &str = "test+jws";

    fn signer(seed: u8) -> Signer {
        Signer::from_seed(&Key::take(&mut [seed; 32]))
    }

    fn keys() -> KeySet {
        KeySet::new([signer(1).verifying_key().clone()])
    }

    /// A text with a header of the test's choice, correctly signed.
    fn signed_with(header: &str) -> String {
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode("{}")
        );
        let signature = URL_SAFE_NO_PAD.encode(signer(1).sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    #[test]
    fn what_was_signed_is_given_back() {
        for payload in [&b""[..], b"{}", &[0xff; 100]] {
            assert_eq!(
                verify(&sign(&signer(1), TYP, payload), TYP, &keys()),
                Ok(payload.to_vec())
            );
        }
    }

    #[test]
    fn a_header_talks_nobody_into_anything() {
        let kid = signer(1).key_id().to_owned();
        let good = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{TYP}"}}"#);
        assert_eq!(
            verify(&signed_with(&good), TYP, &keys()),
            Ok(b"{}".to_vec())
        );
        let cases = [
            (good.replace("EdDSA", "none"), Error::Algorithm),
            (good.replace("EdDSA", "eddsa"), Error::Algorithm),
            (good.replace("EdDSA", "HS256"), Error::Algorithm),
            (good.replace(TYP, "JWT"), Error::Type),
            (good.replace(&kid, signer(2).key_id()), Error::UnknownKey),
            (good.replace(&kid, ""), Error::UnknownKey),
            (
                good.replace(r#""alg""#, r#""crit":["exp"],"alg""#),
                Error::Critical,
            ),
            (
                good.replace(r#""alg""#, r#""crit":null,"alg""#),
                Error::Critical,
            ),
            (
                good.replace(r#""alg""#, r#""b64":false,"alg""#),
                Error::Header,
            ),
            (good.replace(r#""alg""#, r#""jwk":{},"alg""#), Error::Header),
            (
                good.replace(r#""alg""#, r#""alg":"EdDSA","alg""#),
                Error::Header,
            ),
            (good.replace(r#""EdDSA""#, "7"), Error::Header),
            (format!("{good}{{}}"), Error::Header),
            (format!("[{good}]"), Error::Header),
            ("{}".into(), Error::Header),
            (String::new(), Error::Header),
        ];
        for (header, error) in cases {
            assert_eq!(
                verify(&signed_with(&header), TYP, &keys()),
                Err(error),
                "{header}"
            );
        }
    }

    #[test]
    fn another_form_of_the_same_text_is_refused() {
        let text = sign(&signer(1), TYP, b"payload");
        let parts: Vec<&str> = text.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            panic!("three parts")
        };
        let cases = [
            (String::new(), Error::NotThreeParts),
            (format!("{header}.{payload}"), Error::NotThreeParts),
            (format!("{text}."), Error::NotThreeParts),
            (format!("{text}.{signature}"), Error::NotThreeParts),
            (format!("{text}="), Error::Base64("signature")),
            (format!("{text}\n"), Error::Base64("signature")),
            (format!(" {text}"), Error::Base64("header")),
            (
                format!("{header}=.{payload}.{signature}"),
                Error::Base64("header"),
            ),
            (format!("{header}.{payload}=.{signature}"), Error::Signature),
            (format!("{header}..{signature}"), Error::Signature),
            (format!("{header}.{payload}."), Error::Signature),
            (
                format!("{header}.{payload}.{}", &signature[..84]),
                Error::Signature,
            ),
            (format!(".{payload}.{signature}"), Error::Header),
            ("x".repeat(MAX_LEN), Error::NotThreeParts),
            ("x".repeat(MAX_LEN + 1), Error::TooLong),
        ];
        for (altered, error) in cases {
            assert_eq!(verify(&altered, TYP, &keys()), Err(error), "{altered:.200}");
        }
    }

    #[test]
    fn no_character_can_be_changed() {
        let text = sign(&signer(1), TYP, b"payload");
        for (at, old) in text.char_indices() {
            for new in ['A', 'B', '_', '.', '+', '\u{e9}'] {
                if new != old {
                    let altered: String = text
                        .char_indices()
                        .map(|(place, c)| if place == at { new } else { c })
                        .collect();
                    assert!(verify(&altered, TYP, &keys()).is_err(), "{new} at {at}");
                }
            }
        }
    }

    #[test]
    fn another_signer_under_the_same_id_is_refused() {
        let header = URL_SAFE_NO_PAD.encode(format!(
            r#"{{"alg":"EdDSA","kid":"{}","typ":"{TYP}"}}"#,
            signer(1).key_id()
        ));
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode("{}"));
        let forged = format!(
            "{input}.{}",
            URL_SAFE_NO_PAD.encode(signer(2).sign(input.as_bytes()))
        );
        assert_eq!(verify(&forged, TYP, &keys()), Err(Error::Signature));
    }

    proptest! {
        #[test]
        fn any_text_is_refused(text in ".{0,300}|[A-Za-z0-9_.-]{0,300}") {
            prop_assert!(verify(&text, TYP, &keys()).is_err());
        }

        #[test]
        fn any_header_that_is_not_ours_is_refused(header in "\\PC{0,200}|\\{\"(alg|kid|typ|crit)\":[\"\\[{}a-zA-Z,]{0,60}\\}") {
            prop_assert!(verify(&signed_with(&header), TYP, &keys()).is_err());
        }
    }
}
