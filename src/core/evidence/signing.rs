//! The vault's signature: Ed25519 keys and how they are published.
//!
//! Owns keys, their ids and their JSON (RFC 8037). Refuses to know what is signed;
//! [`jws`](super::jws) defines the form. INVARIANT: the id of a key is the RFC 7638 thumbprint of
//! the key itself, so that an id cannot name another key.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    digest,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::secret::Key;

/// The maximum length of a key set in bytes.
const MAX_KEY_SET: usize = 64 * 1024;

/// Signs for the vault. The seed never leaves it.
pub struct Signer {
    pair: Ed25519KeyPair,
    public: VerifyingKey,
}

impl Signer {
    /// Creates the signer from the 32-byte seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: &Key) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .expect("any 32 bytes are an Ed25519 seed");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self {
            pair,
            public: VerifyingKey::new(public),
        }
    }

    /// The id of the key.
    pub fn key_id(&self) -> &str {
        self.public.key_id()
    }

    /// The public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Returns the 64 bytes of the signature.
    pub(super) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> {
        self.pair.sign(message)
    }
}

/// `x` of the JWK: the 32 bytes, base64url without padding.
impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.public))
    }
}

impl FromStr for VerifyingKey {
    type Err = InvalidKey;

    fn from_str(x: &str) -> Result<Self, InvalidKey> {
        let public = URL_SAFE_NO_PAD.decode(x).ok();
        let public = public.and_then(|bytes| bytes.try_into().ok());
        public.map(Self::new).ok_or(InvalidKey::X)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.key_id())
    }
}

/// Verifies signatures of a [`Signer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    public: [u8; 32],
    key_id: String,
}

impl VerifyingKey {
    /// Reads a published key.
    ///
    /// # Errors
    /// Names the member that does not fit an Ed25519 signing key, or reports that the id is not the
    /// key's thumbprint.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, InvalidKey> {
        let expect = |fits: bool, member, value| {
            if fits {
                Ok(())
            } else {
                Err(InvalidKey::Member { member, value })
            }
        };
        expect(jwk.kty == "OKP", "kty", "OKP")?;
        expect(jwk.crv == "Ed25519", "crv", "Ed25519")?;
        expect(
            jwk.alg.as_deref().is_none_or(|alg| alg == "EdDSA"),
            "alg",
            "EdDSA",
        )?;
        expect(
            jwk.public_use
                .as_deref()
                .is_none_or(|public_use| public_use == "sig"),
            "use",
            "sig",
        )?;
        let key: Self = jwk.x.parse()?;
        if jwk.kid.as_ref().is_some_and(|kid| *kid != key.key_id) {
            return Err(InvalidKey::Thumbprint);
        }
        Ok(key)
    }

    /// Returns the key in its published form.
    pub fn jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: self.to_string(),
            kid: Some(self.key_id.clone()),
            public_use: Some("sig".into()),
            alg: Some("EdDSA".into()),
        }
    }

    /// The id of the key: its RFC 7638 thumbprint with SHA-256, base64url without padding.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns whether the signature is that of this key over the message.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public)
            .verify(message, signature)
            .is_ok()
    }

    fn new(public: [u8; 32]) -> Self {
        // RFC 7638, section 3: the required members in lexicographic order, no white space; RFC
        // 8037, section 2 names them.
        let members = format!(
            r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
            URL_SAFE_NO_PAD.encode(public)
        );
        Self {
            public,
            key_id: URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes())),
        }
    }
}

/// A public key as JSON (RFC 7517, RFC 8037). Members that are not listed here are not looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Jwk {
    /// `OKP`.
    #[schema(pattern = "^OKP$", examples("OKP"))]
    pub kty: String,
    /// `Ed25519`.
    #[schema(pattern = "^Ed25519$", examples("Ed25519"))]
    pub crv: String,
    /// The 32 bytes of the key, base64url without padding.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    pub x: String,
    /// The key's id.
    #[schema(max_length = 64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `sig`.
    #[schema(pattern = "^sig$", examples("sig"))]
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub public_use: Option<String>,
    /// `EdDSA`.
    #[schema(pattern = "^EdDSA$", examples("EdDSA"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
}

/// Why a published key, or a set of them, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The set is not a JSON object with a list `keys`.
    #[error(
        "not a JSON Web Key Set: expected an object with the list `keys`, of at most 65536 bytes"
    )]
    NotASet,
    /// A key lacks a member of an Ed25519 key.
    #[error("a key of the set lacks `x`, or has a member that is not text")]
    Incomplete,
    /// A member states another use of the key.
    #[error("`{member}` of the key must be `{value}`")]
    Member {
        /// The member.
        member: &'static str,
        /// What it must be.
        value: &'static str,
    },
    /// The key itself cannot be read.
    #[error("`x` of the key must be 32 bytes in base64url without padding")]
    X,
    /// The id names another key.
    #[error("`kid` is not the RFC 7638 thumbprint of the key")]
    Thumbprint,
}

/// The public keys that verify a vault's signatures. JSON form: a JWK Set (RFC 7517, section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// Returns a set of these keys.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Returns the key with this id.
    pub fn find(&self, key_id: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.key_id == key_id)
    }
}

impl utoipa::ToSchema for KeySet {}

impl utoipa::PartialSchema for KeySet {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .description(Some("Public keys (RFC 7517)."))
            .property(
                "keys",
                utoipa::openapi::ArrayBuilder::new().items(Jwk::schema()),
            )
            .required("keys")
            .into()
    }
}

impl serde::Serialize for KeySet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys: Vec<Jwk> = self.0.iter().map(VerifyingKey::jwk).collect();
        serde_json::json!({ "keys": keys }).serialize(serializer)
    }
}

/// Reads a JWK Set. Keys of other kinds are skipped, as RFC 7517, section 5 requires.
impl FromStr for KeySet {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        #[derive(serde::Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        if text.len() > MAX_KEY_SET {
            return Err(InvalidKey::NotASet);
        }
        let set: Set = serde_json::from_str(text).map_err(|_| InvalidKey::NotASet)?;
        let is = |key: &Value, member: &str, value: &str| {
            key.get(member).and_then(Value::as_str) == Some(value)
        };
        let ours = set
            .keys
            .into_iter()
            .filter(|key| is(key, "kty", "OKP") && is(key, "crv", "Ed25519"));
        let keys = ours.map(|key| {
            VerifyingKey::from_jwk(
                &serde_json::from_value(key).map_err(|_| InvalidKey::Incomplete)?,
            )
        });
        keys.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.1 to A.5.
    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    const SIGNING_INPUT: &[u8] = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const SIGNATURE: &str =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn signer() -> Signer {
        Signer::from_seed(&Key::from_slice(&URL_SAFE_NO_PAD.decode(SEED).unwrap()).unwrap())
    }

    #[test]
    fn rfc_8037_examples_hold() {
        let signer = signer();
        assert_eq!(signer.verifying_key().jwk().x, X);
        assert_eq!(signer.key_id(), THUMBPRINT);
        let signature = URL_SAFE_NO_PAD.decode(SIGNATURE).unwrap();
        assert_eq!(signer.sign(SIGNING_INPUT).as_ref(), signature);
        assert!(signer.verifying_key().verify(SIGNING_INPUT, &signature));
        assert!(
            !signer
                .verifying_key()
                .verify(&SIGNING_INPUT[1..], &signature)
        );
    }

    #[test]
    fn a_published_set_is_read_back_and_other_keys_are_passed_over() {
        let keys = KeySet::new([signer().verifying_key().clone()]);
        let mut json = serde_json::to_value(&keys).unwrap();
        assert_eq!(json.to_string().parse(), Ok(keys.clone()));
        let list = json.get_mut("keys").and_then(Value::as_array_mut).unwrap();
        list.insert(
            0,
            serde_json::json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": THUMBPRINT }),
        );
        list.insert(
            0,
            serde_json::json!({ "kty": "OKP", "crv": "X25519", "x": X }),
        );
        assert_eq!(json.to_string().parse(), Ok(keys));
    }

    #[test]
    fn a_key_that_says_something_else_is_refused() {
        let jwk = signer().verifying_key().jwk();
        let refused = |jwk: Jwk| VerifyingKey::from_jwk(&jwk).unwrap_err();
        assert_eq!(
            refused(Jwk {
                kid: Some("other".into()),
                ..jwk.clone()
            }),
            InvalidKey::Thumbprint
        );
        assert_eq!(
            refused(Jwk {
                x: X[..42].into(),
                ..jwk.clone()
            }),
            InvalidKey::X
        );
        assert_eq!(
            refused(Jwk {
                x: format!("{X}="),
                ..jwk.clone()
            }),
            InvalidKey::X
        );
        for (member, altered) in [
            (
                "kty",
                Jwk {
                    kty: "EC".into(),
                    ..jwk.clone()
                },
            ),
            (
                "crv",
                Jwk {
                    crv: "X25519".into(),
                    ..jwk.clone()
                },
            ),
            (
                "alg",
                Jwk {
                    alg: Some("none".into()),
                    ..jwk.clone()
                },
            ),
            (
                "use",
                Jwk {
                    public_use: Some("enc".into()),
                    ..jwk.clone()
                },
            ),
        ] {
            assert!(
                matches!(refused(altered), InvalidKey::Member { member: told, .. } if told == member),
                "{member}"
            );
        }
        let bare = Jwk {
            kid: None,
            public_use: None,
            alg: None,
            ..jwk
        };
        assert_eq!(
            VerifyingKey::from_jwk(&bare).map(|key| key.key_id().to_owned()),
            Ok(THUMBPRINT.to_owned())
        );
        for text in [
            "",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            &" ".repeat(MAX_KEY_SET + 1),
        ] {
            assert_eq!(text.parse::<KeySet>(), Err(InvalidKey::NotASet));
        }
        assert_eq!(
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519"}]}"#.parse::<KeySet>(),
            Err(InvalidKey::Incomplete)
        );
    }

    #[test]
    fn debug_shows_only_the_id() {
        assert_eq!(format!("{:?}", signer()), format!("Signer({THUMBPRINT})"));
    }
}
