//! The slot file's JSON, and the root files of earlier versions.
//!
//! ```json
//! {"format":"recvault/custody/2","kind":"passphrase","generation":3,
//!  "owner":{"vault":"vlt_…","database":"dbi_…","seen":{"seq":12,"digest":"…"}},
//!  "kdf":{"name":"argon2id","memory_kib":65536,"iterations":3,"parallelism":1,"salt":"…"},
//!  "roots":[{"epoch":2,"nonce":"…","sealed":"…"}]}
//! ```
//! Owns the format. Refuses to know where the file is and how a root in it is sealed; each kind says that.

use serde::{Deserialize, Serialize};

use super::{Error, Owner, RootName, Slot};
use crate::model::id::VaultId;

const FORMAT: &str = "recvault/custody/2";
/// What earlier versions wrote: one root a file.
const LEGACY: [&str; 2] = ["recvault/root/1", "recvault/kms-root/1"];

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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
        let (generation, owner) = (slot.generation(), *slot.owner());
        Self { format: FORMAT.into(), kind: kind.into(), generation, owner, kdf: None, roots: Vec::new() }
    }

    /// Reads a slot file of this kind.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn read(kind: &'static str, content: &[u8]) -> Result<Self, Error> {
        let file: Self = serde_json::from_slice(content).map_err(|_| Error::Format("it is not the JSON of a slot file"))?;
        match () {
            () if file.format != FORMAT => Err(Error::Format("its format is not `recvault/custody/2`: use the recvault that wrote it")),
            () if file.kind != kind => Err(Error::Format("it is of another kind of custody than `custody.kind` says")),
            () => file.slot().map(|_| file),
        }
    }

    /// The slot that it tells of.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub(super) fn slot(&self) -> Result<Slot, Error> {
        Slot::read(self.owner, self.generation, self.roots.iter().map(|root| root.epoch).collect())
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        (serde_json::to_string_pretty(self).expect("plain values always have a JSON form") + "\n").into_bytes()
    }
}

/// Whether a content is a root file of an earlier version.
pub(super) fn is_legacy(content: &[u8]) -> bool {
    roots_of(content).is_some_and(|contained| contained.is_legacy)
}

/// The roots in a file, of whatever kind and version.
pub(super) struct Contained {
    pub(super) vault: VaultId,
    /// `None` in root files of earlier versions.
    pub(super) generation: Option<u64>,
    pub(super) is_legacy: bool,
    epochs: Vec<u64>,
}

impl Contained {
    pub(super) fn names(&self) -> Vec<RootName> {
        self.epochs.iter().map(|epoch| RootName { vault: self.vault, epoch: *epoch }).collect()
    }
}

/// Which roots a content holds, sealed as it may be; `None` if it is no file of custody.
pub(super) fn roots_of(content: &[u8]) -> Option<Contained> {
    #[derive(Deserialize)]
    struct Legacy {
        format: String,
        vault: VaultId,
        epoch: u64,
    }
    if let Ok(file) = serde_json::from_slice::<SlotFile>(content) {
        let epochs = file.roots.iter().map(|root| root.epoch).collect();
        return Some(Contained { vault: file.owner.vault, generation: Some(file.generation), is_legacy: false, epochs });
    }
    let file = serde_json::from_slice::<Legacy>(content).ok().filter(|file| LEGACY.contains(&file.format.as_str()))?;
    Some(Contained { vault: file.vault, generation: None, is_legacy: true, epochs: vec![file.epoch] })
}

/// The slot that files of earlier versions amount to: nobody's yet, and of no generation.
///
/// # Errors
/// [`Error::Format`] if they are of two vaults.
pub(super) fn legacy_slot(names: &[RootName]) -> Result<Slot, Error> {
    let Some(first) = names.first() else { return Err(Error::Format("a slot has one or two roots, the older first")) };
    if names.iter().any(|name| name.vault != first.vault) {
        return Err(Error::Format("the root file and the staged one are of two vaults"));
    }
    let mut epochs: Vec<u64> = names.iter().map(|name| name.epoch).collect();
    epochs.sort_unstable();
    epochs.dedup();
    Slot::read(Owner { vault: first.vault, database: None, seen: None }, 0, epochs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_file_is_read_as_it_was_written_and_nothing_else_is() {
        let owner = Owner { vault: VaultId::random(&mut rand::rng()), database: None, seen: None };
        let slot = Slot::read(owner, 7, vec![3, 9]).unwrap();
        let mut file = SlotFile::of("aws-kms", &slot);
        let root = |epoch| SealedRoot { epoch, key_id: Some("arn:x".into()), nonce: None, sealed: "AA==".into() };
        file.roots = [3, 9].map(root).to_vec();
        let json = String::from_utf8(file.to_json()).unwrap();
        assert_eq!(SlotFile::read("aws-kms", json.as_bytes()).unwrap().slot().unwrap(), slot);
        let contained = roots_of(json.as_bytes()).unwrap();
        assert_eq!((contained.names(), contained.generation, contained.is_legacy), (slot.names(), Some(7), false));
        assert!(SlotFile::read("passphrase", json.as_bytes()).is_err());
        for (from, to) in
            [("custody/2", "custody/3"), ("\"epoch\"", "\"epoc\""), ("arn:x\",", "arn:x\", \"more\": 1,"), ("}", ""), ("9", "3")]
        {
            assert!(matches!(SlotFile::read("aws-kms", json.replace(from, to).as_bytes()), Err(Error::Format(_))), "{from}");
        }
    }

    #[test]
    fn files_of_earlier_versions_are_known_for_what_they_hold() {
        let vault = VaultId::random(&mut rand::rng());
        let text = |format: &str, epoch: u64| format!("{{\"format\":\"{format}\",\"vault\":\"{vault}\",\"epoch\":{epoch},\"more\":1}}");
        let names: Vec<RootName> = LEGACY.iter().zip([8, 5]).flat_map(|(f, e)| roots_of(text(f, e).as_bytes()).unwrap().names()).collect();
        let slot = legacy_slot(&names).unwrap();
        assert_eq!((slot.generation(), slot.roots(), slot.owner().database), (0, &[5, 8][..], None));
        assert!(roots_of(text("recvault/snapshot/1", 1).as_bytes()).is_none());
        let other = RootName { vault: VaultId::random(&mut rand::rng()), epoch: 1 };
        assert!(legacy_slot(&[names[0], other]).is_err() && legacy_slot(&[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_no_file_of_custody(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            proptest::prop_assert!(roots_of(&bytes).is_none() && SlotFile::read("passphrase", &bytes).is_err());
        }
    }
}
