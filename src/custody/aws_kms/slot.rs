//! The JSON of a wrapped root: reading and writing.
//!
//! Owns the format. Refuses to know where the file is and how it is unwrapped.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use crate::{
    custody::{Error, RootName},
    model::id::VaultId,
};

const FORMAT: &str = "recvault/kms-root/1";

/// A wrapped root.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slot {
    format: String,
    vault: VaultId,
    epoch: u64,
    key_id: String,
    ciphertext: String,
}

impl Slot {
    pub(super) fn new(root: RootName, key_id: String, ciphertext: &[u8]) -> Self {
        Self { format: FORMAT.into(), vault: root.vault, epoch: root.epoch, key_id, ciphertext: BASE64.encode(ciphertext) }
    }

    pub(super) fn read(content: &[u8]) -> Result<Self, Error> {
        let slot: Self = serde_json::from_slice(content).map_err(|_| Error::Format("it is not the JSON of a root wrapped by KMS"))?;
        if slot.format != FORMAT {
            return Err(Error::Format("its format is not `recvault/kms-root/1`: use the recvault that wrote it"));
        }
        Ok(slot)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        (serde_json::to_string_pretty(self).expect("plain values always have a JSON form") + "\n").into_bytes()
    }

    pub(super) fn name(&self) -> RootName {
        RootName { vault: self.vault, epoch: self.epoch }
    }

    /// The key that wrapped it.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(super) fn ciphertext(&self) -> Result<Vec<u8>, Error> {
        BASE64.decode(&self.ciphertext).map_err(|_| Error::Format("its `ciphertext` is not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_read_as_it_was_written_and_nothing_else_is() {
        let root = RootName { vault: VaultId::random(&mut rand::rng()), epoch: u64::MAX };
        let json = Slot::new(root, "arn:x".into(), b"wrapped").to_json();
        let read = Slot::read(&json).unwrap();
        assert_eq!((read.name(), read.key_id(), read.ciphertext().unwrap()), (root, "arn:x", b"wrapped".to_vec()));
        let text = String::from_utf8(json).unwrap();
        for (from, to) in [("kms-root/1", "kms-root/2"), ("\"epoch\"", "\"epoc\""), ("arn:x\",", "arn:x\", \"more\": 1,"), ("}", "")] {
            assert!(matches!(Slot::read(text.replace(from, to).as_bytes()), Err(Error::Format(_))), "{from}");
        }
        assert!(Slot::read(text.replace("d3JhcHBlZA==", "d3Jh*").as_bytes()).unwrap().ciphertext().is_err());
    }
}
