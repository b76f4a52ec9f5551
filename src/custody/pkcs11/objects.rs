//! The objects in a token: slots and root keys, found, made, used and destroyed.
//!
//! Owns templates and the translation between objects and slots. Refuses to know locks, sessions
//! and the order of a swap.

use cryptoki::{
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
    types::Ulong,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::token::{NAME, TokenError, from_pkcs11, is_gone, is_wrong_tag};
use crate::{
    custody::{
        Error, Item, Role, RootName,
        file::FORMAT,
        slot::{Owner, Slot},
        wrap,
    },
    model::id::VaultId,
    secret::Key,
};

const SLOT: &[u8] = b"recvault-slot";
const KEY: &[u8] = b"recvault-root";
const IV: usize = 12;
const TAG_BITS: u64 = 128;

/// The contents of a slot object.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    format: String,
    generation: u64,
    owner: Owner,
    roots: Vec<u64>,
}

/// A key object.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyObject {
    pub(super) handle: ObjectHandle,
    pub(super) name: RootName,
}

/// The key objects in a token.
pub(super) struct Keys(Vec<KeyObject>);

impl Keys {
    pub(super) fn all(&self) -> &[KeyObject] {
        &self.0
    }

    /// Returns the objects of one name; more than one only if two processes locked different files.
    pub(super) fn of(&self, root: RootName) -> Vec<KeyObject> {
        self.0
            .iter()
            .copied()
            .filter(|object| object.name == root)
            .collect()
    }
}

/// The contents of a token.
pub(super) struct TokenContents {
    /// Slot objects, in order of generation.
    pub(super) slots: Vec<(ObjectHandle, Slot)>,
    pub(super) keys: Keys,
}

impl TokenContents {
    pub(super) fn look(session: &Session) -> Result<Self, TokenError> {
        let mut slots = Vec::new();
        for handle in find(session, ObjectClass::DATA, SLOT)? {
            if let Some(value) = attribute(session, handle, AttributeType::Value)? {
                slots.push((handle, parse_slot(&value)?));
            }
        }
        slots.sort_by_key(|(_, slot)| slot.generation());
        let mut keys = Vec::new();
        for handle in find(session, ObjectClass::SECRET_KEY, KEY)? {
            if let Some(id) = attribute(session, handle, AttributeType::Id)? {
                keys.push(KeyObject {
                    handle,
                    name: parse_id(&id)?,
                });
            }
        }
        keys.sort_by_key(|object| object.name);
        Ok(Self {
            slots,
            keys: Keys(keys),
        })
    }

    /// Returns the slot in force.
    ///
    /// # Errors
    /// [`Error::Inexact`] if two have the same generation: processes with different lock files made
    /// changes.
    pub(super) fn slot(&self) -> Result<Option<Slot>, Error> {
        match self.slots.as_slice() {
            [.., (_, one), (_, other)]
                if one.generation() == other.generation() && one != other =>
            {
                Err(Error::Inexact { place: NAME.into() })
            }
            [.., (_, newest)] => Ok(Some(newest.clone())),
            [] => Ok(None),
        }
    }

    /// Returns all objects and the role of each.
    pub(super) fn items(&self) -> Result<Vec<Item>, Error> {
        let slot = self.slot()?;
        let mut items = Vec::new();
        for (_, stored) in &self.slots {
            let role = if Some(stored) == slot.as_ref() {
                Role::Slot
            } else {
                Role::Leftover
            };
            items.push(Item {
                name: format!("slot object of generation {}", stored.generation()),
                role,
                roots: Vec::new(),
            });
        }
        for object in &self.keys.0 {
            let role = match &slot {
                Some(slot) if slot.has(object.name) => Role::Slot,
                Some(slot) if slot.owner().vault != object.name.vault => Role::Foreign,
                _ => Role::Leftover,
            };
            let name = format!(
                "key object of epoch {} of vault {}",
                object.name.epoch, object.name.vault
            );
            items.push(Item {
                name,
                role,
                roots: vec![object.name],
            });
        }
        Ok(items)
    }

    /// Refuses keys of another vault: a token belongs to one vault. (The comparison refuses a slot
    /// of another vault.)
    pub(super) fn refuse_foreign(&self, vault: VaultId) -> Result<(), Error> {
        // Keys left by an `init` that died before it wrote its slot belong to no vault.
        let is_foreign = |object: &&KeyObject| object.name.vault != vault && !self.slots.is_empty();
        match self.keys.0.iter().find(is_foreign) {
            Some(object) if self.slot()?.is_none_or(|slot| slot.owner().vault == vault) => {
                Err(Error::Foreign {
                    name: format!(
                        "key object of epoch {} of vault {}",
                        object.name.epoch, object.name.vault
                    ),
                })
            }
            _ => Ok(()),
        }
    }
}

fn find(
    session: &Session,
    class: ObjectClass,
    label: &[u8],
) -> Result<Vec<ObjectHandle>, TokenError> {
    let template = [
        Attribute::Class(class),
        Attribute::Token(true),
        Attribute::Label(label.to_vec()),
    ];
    session
        .find_objects(&template)
        .map_err(|error| from_pkcs11(&error))
}

/// Reads one attribute; returns `None` if the object was destroyed meanwhile.
fn attribute(
    session: &Session,
    handle: ObjectHandle,
    which: AttributeType,
) -> Result<Option<Vec<u8>>, TokenError> {
    match session.get_attributes(handle, &[which]) {
        Ok(attributes) => match attributes.into_iter().next() {
            Some(Attribute::Id(bytes) | Attribute::Value(bytes)) => Ok(Some(bytes)),
            _ => Err(foreign().into()),
        },
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(from_pkcs11(&error)),
    }
}

/// Makes the key of a root.
pub(super) fn generate(session: &Session, root: RootName) -> Result<(), TokenError> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Token(true),
        Attribute::Label(KEY.to_vec()),
        Attribute::Id(id(root)),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(Ulong::from(32)),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ];
    session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .map(drop)
        .map_err(|error| from_pkcs11(&error))
}

/// Writes a slot object beside the existing ones.
pub(super) fn write_slot(session: &Session, slot: &Slot) -> Result<(), TokenError> {
    let value = Value {
        format: FORMAT.into(),
        generation: slot.generation(),
        owner: *slot.owner(),
        roots: slot.roots().to_vec(),
    };
    let value = serde_json::to_vec(&value).expect("plain values always have a JSON form");
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Label(SLOT.to_vec()),
        Attribute::Application(b"recvault".to_vec()),
        Attribute::Value(value),
    ];
    session
        .create_object(&template)
        .map(drop)
        .map_err(|error| from_pkcs11(&error))
}

/// Destroys an object; an object that is gone counts as destroyed.
pub(super) fn destroy(session: &Session, object: ObjectHandle) -> Result<(), TokenError> {
    match session.destroy_object(object) {
        Err(error) if !is_gone(&error) => Err(from_pkcs11(&error)),
        _ => Ok(()),
    }
}

pub(super) fn seal(
    session: &Session,
    object: ObjectHandle,
    root: RootName,
    key: &Key,
) -> Result<Vec<u8>, TokenError> {
    let mut iv = [0; IV];
    let aad = wrap::associated_data(root);
    rand::Rng::fill_bytes(&mut rand::rng(), &mut iv);
    let parameters = GcmParams::new(&mut iv, &aad, Ulong::from(TAG_BITS))
        .map_err(|error| from_pkcs11(&error))?;
    let sealed = match session.encrypt(&Mechanism::AesGcm(parameters), object, key.expose()) {
        Ok(sealed) => sealed,
        Err(error) if is_gone(&error) => return Err(Error::NoRoot(root).into()),
        Err(error) => return Err(from_pkcs11(&error)),
    };
    // Read after the call: some tokens overwrite the given IV with their own.
    Ok([iv.as_slice(), &sealed].concat())
}

pub(super) fn open(
    session: &Session,
    object: ObjectHandle,
    root: RootName,
    sealed: &[u8],
) -> Result<Key, TokenError> {
    let (iv, sealed) = sealed
        .split_first_chunk::<IV>()
        .ok_or(Error::NotAuthentic)?;
    let mut iv = *iv;
    let aad = wrap::associated_data(root);
    let parameters = GcmParams::new(&mut iv, &aad, Ulong::from(TAG_BITS))
        .map_err(|error| from_pkcs11(&error))?;
    match session
        .decrypt(&Mechanism::AesGcm(parameters), object, sealed)
        .map(Zeroizing::new)
    {
        Ok(bytes) => Ok(Key::from_slice(&bytes).ok_or(Error::NotAuthentic)?),
        Err(error) if is_gone(&error) => Err(Error::NoRoot(root).into()),
        Err(error) if is_wrong_tag(&error) => Err(Error::NotAuthentic.into()),
        Err(error) => Err(from_pkcs11(&error)),
    }
}

fn parse_slot(value: &[u8]) -> Result<Slot, Error> {
    let value: Value = serde_json::from_slice(value).map_err(|_| foreign())?;
    if value.format != FORMAT {
        return Err(Error::Format(
            "the format of the slot object is not `recvault/custody/2`: use the recvault that wrote it",
        ));
    }
    Slot::read(value.owner, value.generation, value.roots)
}

fn id(root: RootName) -> Vec<u8> {
    [root.vault.as_bytes().as_slice(), &root.epoch.to_be_bytes()].concat()
}

fn parse_id(id: &[u8]) -> Result<RootName, Error> {
    let (vault, epoch) = id.split_first_chunk::<16>().ok_or_else(foreign)?;
    let vault: VaultId = format!("vlt_{}", hex::encode(vault))
        .parse()
        .map_err(|_| foreign())?;
    Ok(RootName {
        vault,
        epoch: u64::from_be_bytes(epoch.try_into().map_err(|_| foreign())?),
    })
}

fn foreign() -> Error {
    Error::Backend {
        name: NAME,
        why: "an object with a label of this program (`recvault-slot`, `recvault-root`) has \
              unexpected content; examine it with the token's tools, and remove or rename it"
            .into(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn an_object_names_its_root() {
        let root = RootName {
            vault: VaultId::random(&mut rand::rng()),
            epoch: 0x0102_0304_0506_0708,
        };
        assert_eq!(id(root)[16..], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(parse_id(&id(root)).unwrap(), root);
        for length in [0, 15, 16, 23] {
            assert!(parse_id(&id(root)[..length]).is_err(), "{length}");
        }
        assert!(parse_id(&[id(root), vec![0]].concat()).is_err());
    }
}
