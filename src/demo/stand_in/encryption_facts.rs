//! The encryption of a recording, and its spellings in the interface and in callbacks.

use serde_json::{Value, json};

/// The field names of `EncryptionDetails`; Twilio's documentation is inconsistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `type`, `public_key_sid`, `encrypted_cek`, `iv`: as in callbacks.
    Callback,
    /// `type`, `encryption_public_key_sid`, `encryption_cek`, `iv`: as in the documentation of the
    /// REST resource.
    Page,
    /// `encryption_public_key_sid`, `encryption_cek`, `encryption_iv`: as in the examples of the
    /// OpenAPI description.
    Description,
}

/// The encryption of a recording.
#[derive(Clone, Debug)]
pub(super) struct EncryptionFacts {
    pub(super) public_key_sid: String,
    pub(super) cek: String,
    pub(super) iv: String,
    pub(super) metadata: Spelling,
    pub(super) callback: Spelling,
    /// Replaces all other fields.
    pub(super) instead: Option<Value>,
}

impl EncryptionFacts {
    /// `encryption_details` of the REST resource.
    pub(super) fn in_metadata(&self) -> Value {
        self.spelled(self.metadata)
    }

    /// `EncryptionDetails` of a callback: JSON as a text.
    pub(super) fn in_callback(&self) -> String {
        self.spelled(self.callback).to_string()
    }

    fn spelled(&self, spelling: Spelling) -> Value {
        let Self {
            public_key_sid: key,
            cek,
            iv,
            instead,
            ..
        } = self;
        if let Some(instead) = instead {
            return instead.clone();
        }
        match spelling {
            Spelling::Callback => {
                json!({ "type": "rsa-aes", "public_key_sid": key, "encrypted_cek": cek, "iv": iv })
            }
            Spelling::Page => {
                json!({ "type": "rsa-aes", "encryption_public_key_sid": key, "encryption_cek": cek, "iv": iv })
            }
            Spelling::Description => {
                json!({ "encryption_public_key_sid": key, "encryption_cek": cek, "encryption_iv": iv })
            }
        }
    }
}
