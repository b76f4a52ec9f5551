//! The slot file's JSON.
//!
//! ```json
//! {"format":"recvault/custody/2","kind":"passphrase","generation":3,
//!  "owner":{"vault":"vlt_…","database":"dbi_…","timeline":1,"seen":{"timeline":1,"seq":12,"digest":"…"}},
//!  "kdf":{"name":"argon2id","memory_kib":65536,"iterations":3,"parallelism":1,"salt":"…"},
//!  "roots":[{"epoch":2,"nonce":"…","sealed":"…"}]}
//! ```
//! Owns the format. Refuses to know where the file is and how a root in it is sealed; each kind
//! says that.

use serde::{Deserialize, Serialize};

use super::{
    Error, RootName,
    slot::{Owner, Slot},
};
use crate::model::id::VaultId;

const FORMAT: &str = "recvault/custody/2";

/// A slot file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotFile {
    pub(super) format: String,
    /// The kind of custody.
    pub(super) kind: String,
    pub(super) generation: u64,
    pub(super) owner: Owner,
    /// Of the passphrase kind: how the passphrase is stretched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kdf: Option<Kdf>,
    pub(super) roots: Vec<SealedRoot>,
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

/// A root in a slot file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealedRoot {
    pub(super) epoch: u64,
    /// Of the KMS kind: the KMS key that wrapped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_id: Option<String>,
    /// Of the passphrase kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<String>,
    pub(super) sealed: String,
}

impl SlotFile {
    /// A file for this slot, its roots still to come.
    pub(super) fn of(kind: &str, slot: &Slot) -> Self {
        let generation = slot.generation();
        let owner = *slot.owner();
        Self {
            format: FORMAT.into(),
            kind: kind.into(),
            generation,
            owner,
            kdf: None,
            roots: Vec::new(),
        }
    }

    /// Reads a slot file of this kind.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn read(kind: &'static str, content: &[u8]) -> Result<Self, Error> {
        let file: Self = serde_json::from_slice(content)
            .map_err(|_| Error::Format("it is not the JSON of a slot file"))?;
        match () {
            () if file.format != FORMAT => Err(Error::Format(
                "its format is not `recvault/custody/2`: use the recvault that wrote it",
            )),
            () if file.kind != kind => Err(Error::Format(
                "it is of another kind of custody than `custody.kind` says",
            )),
            () => file.slot().map(|_| file),
        }
    }

    /// The slot that it tells of.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn slot(&self) -> Result<Slot, Error> {
        Slot::read(
            self.owner,
            self.generation,
            self.roots.iter().map(|root| root.epoch).collect(),
        )
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        (serde_json::to_string_pretty(self).expect("plain values always have a JSON form") + "\n")
            .into_bytes()
    }
}

/// The roots in a slot file, of whatever kind.
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

/// Which roots a content holds, sealed as it may be; `None` if it is no file of custody.
pub(super) fn roots_of(content: &[u8]) -> Option<Contained> {
    let file: SlotFile = serde_json::from_slice(content).ok()?;
    let epochs = file.roots.iter().map(|root| root.epoch).collect();
    Some(Contained {
        vault: file.owner.vault,
        generation: file.generation,
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
        let mut file = SlotFile::of("aws-kms", &slot);
        let root = |epoch| SealedRoot {
            epoch,
            key_id: Some("arn:x".into()),
            nonce: None,
            sealed: "AA==".into(),
        };
        file.roots = [3, 9].map(root).to_vec();
        let json = String::from_utf8(file.to_json()).unwrap();
        assert_eq!(
            SlotFile::read("aws-kms", json.as_bytes())
                .unwrap()
                .slot()
                .unwrap(),
            slot
        );
        let contained = roots_of(json.as_bytes()).unwrap();
        assert_eq!((contained.names(), contained.generation), (slot.names(), 7));
        assert!(SlotFile::read("passphrase", json.as_bytes()).is_err());
        for (from, to) in [
            ("custody/2", "custody/3"),
            ("\"epoch\"", "\"epoc\""),
            ("arn:x\",", "arn:x\", \"more\": 1,"),
            ("}", ""),
            ("9", "3"),
        ] {
            assert!(
                matches!(
                    SlotFile::read("aws-kms", json.replace(from, to).as_bytes()),
                    Err(Error::Format(_))
                ),
                "{from}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_no_file_of_custody(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            proptest::prop_assert!(roots_of(&bytes).is_none() && SlotFile::read("passphrase", &bytes).is_err());
        }
    }
}
