//! The slot file's JSON.
//!
//! ```json
//! {"format":"recvault/custody/2","kind":"passphrase","generation":3,
//!  "owner":{"vault":"vlt_…","database":"dbi_…","timeline":1,"seen":{"timeline":1,"seq":12,"digest":"…"}},
//!  "kdf":{"name":"argon2id","memory_kib":65536,"iterations":3,"parallelism":1,"salt":"…"},
//!  "roots":[{"epoch":2,"nonce":"…","sealed":"…"}]}
//! ```
//! Owns the format. Refuses to know where the file is and how a root in it is sealed; each kind
//! defines that.

use serde::{Deserialize, Serialize};

use super::{
    Error, RootName,
    slot::{Owner, Slot},
};
use crate::model::id::VaultId;

/// The format identifier of a slot, in a file and in a token.
pub(super) const FORMAT: &str = "recvault/custody/2";

/// A slot file of any kind.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum SlotFile {
    Passphrase(PassphraseFile),
    AwsKms(KmsFile),
}

/// A slot file whose roots are sealed under a passphrase.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PassphraseFile {
    format: String,
    generation: u64,
    owner: Owner,
    /// The parameters of the key derivation.
    pub(super) kdf: Kdf,
    pub(super) roots: Vec<PassphraseRoot>,
}

/// A slot file whose roots are wrapped by KMS.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KmsFile {
    format: String,
    generation: u64,
    owner: Owner,
    pub(super) roots: Vec<KmsRoot>,
}

/// Argon2id's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kdf {
    pub(super) name: String,
    pub(super) memory_kib: u32,
    pub(super) iterations: u32,
    pub(super) parallelism: u32,
    pub(super) salt: String,
}

/// A root that is sealed under a passphrase.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PassphraseRoot {
    pub(super) epoch: u64,
    pub(super) nonce: String,
    pub(super) sealed: String,
}

/// A root that KMS wrapped.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KmsRoot {
    pub(super) epoch: u64,
    /// The KMS key that wrapped it.
    pub(super) key_id: String,
    pub(super) sealed: String,
}

impl SlotFile {
    /// Reads a slot file.
    ///
    /// # Errors
    /// [`Error::Format`].
    fn read(content: &[u8]) -> Result<Self, Error> {
        let file: Self = serde_json::from_slice(content)
            .map_err(|_| Error::Format("it is not the JSON of a slot file"))?;
        let format = match &file {
            Self::Passphrase(file) => &file.format,
            Self::AwsKms(file) => &file.format,
        };
        if format != FORMAT {
            return Err(Error::Format(
                "its format is not `recvault/custody/2`: use the recvault that wrote it",
            ));
        }
        file.slot().map(|_| file)
    }

    /// Returns the slot that it describes.
    ///
    /// # Errors
    /// [`Error::Format`].
    fn slot(&self) -> Result<Slot, Error> {
        match self {
            Self::Passphrase(file) => file.slot(),
            Self::AwsKms(file) => file.slot(),
        }
    }

    fn to_json(&self) -> Vec<u8> {
        (serde_json::to_string_pretty(self).expect("plain values always have a JSON form") + "\n")
            .into_bytes()
    }
}

impl PassphraseFile {
    /// Returns the file of a slot with these roots.
    pub(super) fn of(slot: &Slot, kdf: Kdf, roots: Vec<PassphraseRoot>) -> Self {
        Self {
            format: FORMAT.into(),
            generation: slot.generation(),
            owner: *slot.owner(),
            kdf,
            roots,
        }
    }

    /// Reads a slot file of this kind.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn read(content: &[u8]) -> Result<Self, Error> {
        match SlotFile::read(content)? {
            SlotFile::Passphrase(file) => Ok(file),
            SlotFile::AwsKms(_) => Err(OTHER_KIND),
        }
    }

    /// Returns the slot that it describes.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn slot(&self) -> Result<Slot, Error> {
        let epochs = self.roots.iter().map(|root| root.epoch).collect();
        Slot::read(self.owner, self.generation, epochs)
    }

    pub(super) fn into_json(self) -> Vec<u8> {
        SlotFile::Passphrase(self).to_json()
    }
}

impl KmsFile {
    /// Returns the slot that it describes.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn slot(&self) -> Result<Slot, Error> {
        let epochs = self.roots.iter().map(|root| root.epoch).collect();
        Slot::read(self.owner, self.generation, epochs)
    }
}

// A build without KMS reads which roots such a file has, and nothing else of it.
#[cfg(any(feature = "aws-kms", test))]
impl KmsFile {
    /// Returns the file of a slot with these roots.
    pub(super) fn of(slot: &Slot, roots: Vec<KmsRoot>) -> Self {
        Self {
            format: FORMAT.into(),
            generation: slot.generation(),
            owner: *slot.owner(),
            roots,
        }
    }

    /// Reads a slot file of this kind.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn read(content: &[u8]) -> Result<Self, Error> {
        match SlotFile::read(content)? {
            SlotFile::AwsKms(file) => Ok(file),
            SlotFile::Passphrase(_) => Err(OTHER_KIND),
        }
    }

    pub(super) fn into_json(self) -> Vec<u8> {
        SlotFile::AwsKms(self).to_json()
    }
}

const OTHER_KIND: Error =
    Error::Format("it is of another kind of custody than `custody.kind` says");

/// The roots in a slot file of any kind.
pub(super) struct Contained {
    pub(super) vault: VaultId,
    pub(super) generation: u64,
    epochs: Vec<u64>,
}

impl Contained {
    pub(super) fn names(&self) -> Vec<RootName> {
        self.epochs
            .iter()
            .map(|epoch| RootName {
                vault: self.vault,
                epoch: *epoch,
            })
            .collect()
    }
}

/// Returns the roots in a slot file of any kind; `None` if the bytes are not a slot file.
pub(super) fn roots_of(content: &[u8]) -> Option<Contained> {
    let (generation, owner, epochs): (_, _, Vec<u64>) =
        match serde_json::from_slice(content).ok()? {
            SlotFile::Passphrase(file) => (
                file.generation,
                file.owner,
                file.roots.iter().map(|root| root.epoch).collect(),
            ),
            SlotFile::AwsKms(file) => (
                file.generation,
                file.owner,
                file.roots.iter().map(|root| root.epoch).collect(),
            ),
        };
    Some(Contained {
        vault: owner.vault,
        generation,
        epochs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_file_is_read_as_it_was_written_and_nothing_else_is() {
        let owner = Owner::first(VaultId::random(&mut rand::rng()), None);
        let slot = Slot::read(owner, 7, vec![3, 9]).unwrap();
        let root = |epoch| KmsRoot {
            epoch,
            key_id: "arn:x".into(),
            sealed: "AA==".into(),
        };
        let file = KmsFile::of(&slot, [3, 9].map(root).to_vec());
        let json = String::from_utf8(file.into_json()).unwrap();
        assert_eq!(
            KmsFile::read(json.as_bytes()).unwrap().slot().unwrap(),
            slot
        );
        let contained = roots_of(json.as_bytes()).unwrap();
        assert_eq!((contained.names(), contained.generation), (slot.names(), 7));
        assert!(PassphraseFile::read(json.as_bytes()).is_err());
        for (from, to) in [
            ("custody/2", "custody/3"),
            ("\"epoch\"", "\"epoc\""),
            ("arn:x\",", "arn:x\", \"more\": 1,"),
            ("\"key_id\": \"arn:x\",", ""),
            ("aws-kms", "passphrase"),
            ("aws-kms", "pkcs11"),
            ("}", ""),
            ("9", "3"),
        ] {
            assert!(
                matches!(
                    KmsFile::read(json.replace(from, to).as_bytes()),
                    Err(Error::Format(_))
                ),
                "{from}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_no_file_of_custody(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            proptest::prop_assert!(roots_of(&bytes).is_none() && PassphraseFile::read(&bytes).is_err());
        }
    }
}
