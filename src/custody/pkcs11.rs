//! Custody by a PKCS #11 token: an HSM, or SoftHSM 2 for trying it out.
//!
//! ```text
//! object of the token    CKO_SECRET_KEY, CKK_AES, 32 bytes, private, sensitive, not extractable
//!   CKA_LABEL            recvault-root
//!   CKA_ID               vault id (16) ‖ epoch (8, big endian)
//! sealed root-page key   IV (12) ‖ CKM_AES_GCM(root, IV, key) ‖ tag (16), with the root's name as associated data
//! ```
//! The root is made in the token and never leaves it; this process sees the root page's key only. One token holds the roots of one vault.
//!
//! **What "destroyed" means here:** the object is destroyed in the token (`C_DestroyObject`), and the token is trusted to forget it. A copy of
//! the object that the token's vendor tools made before (a backup, a clone in a cluster, SoftHSM's folder of files) opens that epoch for
//! whoever can bring it back into a token and knows the PIN.
//!
//! **Two objects of one name.** PKCS #11 has no "create unless there is one", so two processes that stage a root at once may make two objects.
//! That is harmless, and so it is not undone (which could race as well): sealing takes any of them, opening tries all, destroying destroys
//! all and looks again. Whatever was sealed under a name opens as long as the name is there, and nothing does afterwards. Who makes a root
//! looks once more whether a turn went by meanwhile, and then takes it back: an object that this look lets stay is there before the next root
//! is staged, hence before its own is destroyed, and goes with it.

mod token;
mod unwrap;

use std::{path::Path, sync::Arc, time::Duration};

use cryptoki::{
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
    types::Ulong,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use zeroize::Zeroizing;

use self::token::{NAME, Place, is_gone, is_wrong_tag, may_pass, told};
pub(super) use self::unwrap::Unwrapper;
use super::{Custody, Error, Meaning, Pkcs11, RootName, wrap};
use crate::{model::id::VaultId, secret::Key};

const LABEL: &[u8] = b"recvault-root";
const IV: usize = 12;
const TAG_BITS: u64 = 128;
/// SoftHSM 2 fails now and then while another session or process writes to the same token.
const TRIES: usize = 5;
/// A token that does not answer must not hold up a turn or a listener for ever. The call itself cannot be taken back; all may be repeated.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token. Each operation has a session of its own.
pub(super) struct Token(Arc<Place>);

impl Token {
    /// As the settings say; relative paths begin at `base`.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(super) fn new(settings: Pkcs11, base: &Path) -> Result<Self, Error> {
        Ok(Self(Arc::new(Place::new(settings, base)?)))
    }

    /// Runs `work` in a session that is logged in; again in another session where the token failed for no reason that it names. All that is done
    /// here may be repeated.
    async fn with<T: Send + 'static>(&self, work: impl Fn(&Session) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let place = Arc::clone(&self.0);
        let working = super::blocking(NAME, move || {
            let _only = token::turn();
            for _ in 1..TRIES {
                match place.session().and_then(|session| work(&session)) {
                    Err(Error::Place { why, .. }) if may_pass(&why) => {}
                    done => return done,
                }
            }
            work(&place.session()?)
        });
        match tokio::time::timeout(PATIENCE, working).await {
            Ok(done) => done,
            Err(_) => Err(Error::Place { place: NAME, why: format!("no answer within {} s", PATIENCE.as_secs()) }),
        }
    }
}

impl Custody for Token {
    fn kind(&self) -> &'static str {
        "pkcs11"
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            destroyed: "the key object is destroyed inside the token, which it never left",
            left: "copies that the token's own tools made of it (backups of the HSM, clones in a cluster, SoftHSM's folder) open that epoch for \
                   whoever restores them and has the PIN: leave this token out of such backups, or let them end before the deletion horizon \
                   you promise",
        }
    }

    fn roots(&self) -> BoxFuture<'_, Result<Vec<RootName>, Error>> {
        self.with(names).boxed()
    }

    fn stage(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>> {
        let place = Arc::clone(&self.0);
        self.with(move |session| {
            let there = names(session)?;
            if there.contains(&root) {
                return Ok(());
            }
            if is_passed(&there, root) {
                return Err(Error::Passed(root));
            }
            if there.len() > 1 {
                return Err(Error::TooMany);
            }
            place.can_seal()?;
            let made = generate(session, root)?;
            keep(session, root, made)
        })
        .boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        let key = key.duplicate();
        self.with(move |session| {
            let object = *objects(session, root)?.first().ok_or(Error::NoRoot(root))?;
            seal(session, object, root, &key)
        })
        .boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        let sealed = sealed.to_vec();
        self.with(move |session| {
            let mut refused = Error::NoRoot(root);
            for object in objects(session, root)? {
                match open(session, object, root, &sealed) {
                    Err(error @ (Error::NotAuthentic | Error::NoRoot(_))) => refused = error,
                    done => return done,
                }
            }
            Err(refused)
        })
        .boxed()
    }

    fn destroy(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>> {
        self.with(move |session| {
            // A process that was staging the same name may add one between a look and the next.
            for _ in 0..3 {
                let there = objects(session, root)?;
                if there.is_empty() {
                    return Ok(());
                }
                for object in there {
                    match session.destroy_object(object) {
                        Err(error) if !is_gone(&error) => return Err(told(&error)),
                        _ => {}
                    }
                }
            }
            Err(Error::Place { place: NAME, why: "the root is still there after it was destroyed".into() })
        })
        .boxed()
    }
}

/// The names of all roots, oldest first.
fn names(session: &Session) -> Result<Vec<RootName>, Error> {
    let mut names = Vec::new();
    for object in session.find_objects(&ours()).map_err(|error| told(&error))? {
        match session.get_attributes(object, &[AttributeType::Id]) {
            Ok(attributes) => match attributes.as_slice() {
                [Attribute::Id(id)] => names.push(parse(id)?),
                _ => return Err(foreign()),
            },
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(told(&error)),
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The objects of one name; more than one only after two processes staged it at once.
fn objects(session: &Session, root: RootName) -> Result<Vec<ObjectHandle>, Error> {
    let mut template = ours().to_vec();
    template.push(Attribute::Id(id(root)));
    session.find_objects(&template).map_err(|error| told(&error))
}

fn generate(session: &Session, root: RootName) -> Result<ObjectHandle, Error> {
    let mut template = ours().to_vec();
    template.extend([
        Attribute::Id(id(root)),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(Ulong::from(32)),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ]);
    session.generate_key(&Mechanism::AesKeyGen, &template).map_err(|error| told(&error))
}

/// Lets a new object stay, unless there is a newer root by now.
fn keep(session: &Session, root: RootName, made: ObjectHandle) -> Result<(), Error> {
    if !is_passed(&names(session)?, root) {
        return Ok(());
    }
    match session.destroy_object(made) {
        Err(error) if !is_gone(&error) => Err(told(&error)),
        _ => Err(Error::Passed(root)),
    }
}

fn is_passed(there: &[RootName], root: RootName) -> bool {
    there.iter().any(|other| other.epoch > root.epoch)
}

fn seal(session: &Session, object: ObjectHandle, root: RootName, key: &Key) -> Result<Vec<u8>, Error> {
    let (mut iv, aad) = ([0; IV], wrap::associated_data(root));
    rand::Rng::fill_bytes(&mut rand::rng(), &mut iv);
    let parameters = GcmParams::new(&mut iv, &aad, Ulong::from(TAG_BITS)).map_err(|error| told(&error))?;
    let sealed = match session.encrypt(&Mechanism::AesGcm(parameters), object, key.expose()) {
        Ok(sealed) => sealed,
        Err(error) if is_gone(&error) => return Err(Error::NoRoot(root)),
        Err(error) => return Err(told(&error)),
    };
    // After the call: some tokens write an IV of their own over the one they were given.
    Ok([iv.as_slice(), &sealed].concat())
}

fn open(session: &Session, object: ObjectHandle, root: RootName, sealed: &[u8]) -> Result<Key, Error> {
    let (iv, sealed) = sealed.split_first_chunk::<IV>().ok_or(Error::NotAuthentic)?;
    let (mut iv, aad) = (*iv, wrap::associated_data(root));
    let parameters = GcmParams::new(&mut iv, &aad, Ulong::from(TAG_BITS)).map_err(|error| told(&error))?;
    match session.decrypt(&Mechanism::AesGcm(parameters), object, sealed).map(Zeroizing::new) {
        Ok(bytes) => Key::from_slice(&bytes).ok_or(Error::NotAuthentic),
        Err(error) if is_gone(&error) => Err(Error::NoRoot(root)),
        Err(error) if is_wrong_tag(&error) => Err(Error::NotAuthentic),
        Err(error) => Err(told(&error)),
    }
}

fn ours() -> [Attribute; 3] {
    [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true), Attribute::Label(LABEL.to_vec())]
}

fn id(root: RootName) -> Vec<u8> {
    [root.vault.as_bytes().as_slice(), &root.epoch.to_be_bytes()].concat()
}

fn parse(id: &[u8]) -> Result<RootName, Error> {
    let (vault, epoch) = id.split_first_chunk::<16>().ok_or_else(foreign)?;
    let vault: VaultId = format!("vlt_{}", hex::encode(vault)).parse().map_err(|_| foreign())?;
    Ok(RootName { vault, epoch: u64::from_be_bytes(epoch.try_into().map_err(|_| foreign())?) })
}

fn foreign() -> Error {
    Error::Place {
        place: NAME,
        why: "an object with the label `recvault-root` has a CKA_ID that names no root; remove or rename it".into(),
    }
}

#[cfg(test)]
mod tests;
