//! Ids of the vault: 128 bits with a prefix for the kind of object.
//!
//! The text form is the prefix and 32 lower-case hex digits, `rec_0123…`; no other form leaves the
//! process.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest;
use rand::CryptoRng;

use super::encoding::length_prefixed;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: expected `{prefix}` and 32 lower-case hex digits")]
pub struct InvalidId {
    text: String,
    what: &'static str,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[doc = $doc:literal])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde_with::DeserializeFromStr, serde_with::SerializeDisplay)]
        pub struct $name([u8; 16]);

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let example = concat!($prefix, "0123456789abcdef0123456789abcdef");
                super::schema::text(concat!($($doc,)*), concat!("^", $prefix, "[0-9a-f]{32}$").into(), example.into())
            }
        }

        impl $name {
            /// Returns a new random id of 128 bits.
            pub fn random(rng: &mut dyn CryptoRng) -> Self {
                let mut bytes = [0; 16];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// Returns the 16 bytes, for digests and associated data.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let refuse = || InvalidId { text: super::text::repeated_id(text, $prefix), what: $what, prefix: $prefix };
                let digits = text.strip_prefix($prefix).ok_or_else(refuse)?;
                let mut bytes = [0; 16];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| refuse())?;
                if digits.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(refuse());
                }
                Ok(Self(bytes))
            }
        }
    };
}

id!(/** One vault: one database, one key tree. */ VaultId, "vlt_", "a vault id");
id!(/** One database that holds a vault. A rebuilt vault is in another database; a copy of a database has the id of its original. */ DatabaseId, "dbi_", "a database id");
id!(/** One recording with all that is derived from it. */ RecordingId, "rec_", "a recording id");
id!(/** One sealed object in the store. Random, so that a path tells nothing. */ ObjectId, "obj_", "an object id");
id!(/** One page of the key tree. */ PageId, "pag_", "a page id");
id!(/** One grant. */ GrantId, "grt_", "a grant id");
id!(/** One receipt. */ ReceiptId, "rcp_", "a receipt id");
id!(/** One person or service that acts, however many credentials they have. */ PrincipalId, "prn_", "a principal id");
id!(/** One bearer token (the id, never the token). */ TokenId, "tok_", "a token id");
id!(/** One person across recordings: what a keyed hash makes of a telephone number or another address. */ SubjectId, "sub_", "a subject id");
id!(/** One statement of consent. */ ConsentId, "cns_", "a consent id");
id!(/** One revocation, however many recordings it reaches. */ RevocationId, "rvk_", "a revocation id");
id!(/** One request for the approval of a second person. */ ApprovalId, "apr_", "an approval id");
id!(/** One lease on a piece of work, or one process: who holds it. */ HolderId, "hld_", "a holder id");

impl SubjectId {
    /// Returns the id derived from a keyed hash, of which the first 16 bytes are used.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(bytes)
    }
}

impl ConsentId {
    /// Returns the id derived from a keyed hash of the statement, of which the first 16 bytes are
    /// used: a repeated statement gets the same id.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(bytes)
    }
}

impl ApprovalId {
    /// An id that no approval has, for questions about the rules alone.
    pub(crate) const NOBODYS: Self = Self([0; 16]);
}

impl RecordingId {
    /// Returns the id of a source's recording in this vault.
    ///
    /// Derived, not random: however often and in whatever order a recording is announced, the id is
    /// the same, and a shredded recording is always recognised. Its record key is random
    /// nevertheless.
    pub fn of_source(vault: VaultId, account: &str, source: &str) -> Self {
        let named = length_prefixed(&[
            b"recvault/recording-id/1",
            vault.as_bytes(),
            account.as_bytes(),
            source.as_bytes(),
        ]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest::digest(&digest::SHA256, &named).as_ref()[..16]);
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_nothing_else_parses() {
        let id = RecordingId::random(&mut rand::rng());
        assert_eq!(id.to_string().parse(), Ok(id));
        let digits = "0".repeat(32);
        for bad in [
            "".to_owned(),
            "rec_".into(),
            digits.clone(),
            format!("obj_{digits}"),
            format!("rec_{}", "A".repeat(32)),
            format!("rec_{digits}0"),
        ] {
            assert!(bad.parse::<RecordingId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn same_source_same_id_and_fields_do_not_run_together() {
        let vault = VaultId::random(&mut rand::rng());
        assert_eq!(
            RecordingId::of_source(vault, "AC1", "RE1"),
            RecordingId::of_source(vault, "AC1", "RE1")
        );
        assert_ne!(
            RecordingId::of_source(vault, "AC1", "RE1"),
            RecordingId::of_source(vault, "AC", "1RE1")
        );
    }
}
