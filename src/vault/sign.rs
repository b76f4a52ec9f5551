//! The vault's signature: the signing key in force, and statements that leave the vault under it.
//!
//! Owns the signing key of this process, and its replacement. Refuses to know whether a statement
//! is true: the caller writes it in the unit that makes it true. Receipts of shreds are signed
//! where the key is destroyed.
//!
//! INVARIANT: the last seed on the service page signs. Each unit that signs checks whether the
//! loaded seed is still that one, so that a process uses a key that another process has put in
//! force.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Inner, Vault, error::Error};
use crate::{
    db::{Tx, Unit, keys as key_rows, outbox::OutboxKind, signing_keys},
    evidence::{DrillReport, KeySet, NewEntry, Publication, Signer, revocation::RevocationReceipt},
    keyring::{self, RootKey, ServiceKeys, tree},
    model::{
        actor::Initiator,
        id::{PageId, VaultId},
        time::Timestamp,
    },
    policy::Rules,
};

/// The content of the service page.
pub(super) struct ServicePage {
    pub(super) keys: ServiceKeys,
    pub(super) signer: Arc<Signer>,
}

/// The signing key that this process loaded last.
pub(super) struct CurrentSigner(RwLock<Arc<Signer>>);

/// A replacement of the signing key.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReplacedKey {
    /// The id of the key that signs from now on.
    pub key_id: String,
    /// The id of the key that signed before. What it signed stays valid.
    pub retired: String,
}

impl ServicePage {
    /// Walks to the page.
    ///
    /// # Errors
    /// [`Error::NoVault`]; [`Error::Keyring`] when the root is not this tree's.
    pub(super) async fn open(tx: &mut Tx, root: &RootKey, vault: VaultId) -> Result<Self, Error> {
        let page = key_rows::service_page(tx).await?.ok_or(Error::NoVault)?;
        let service = tree::walk(key_rows::path(tx, page).await?, root, vault)?;
        Ok(Self {
            keys: ServiceKeys::of(&service.page)?,
            signer: Arc::new(Signer::from_seed(&keyring::signing_seed(&service.page)?)),
        })
    }
}

impl CurrentSigner {
    pub(super) fn of(signer: Arc<Signer>) -> Self {
        Self(RwLock::new(signer))
    }

    fn get(&self) -> Arc<Signer> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, signer: Arc<Signer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = signer;
    }
}

impl Vault {
    /// Returns the public keys of this vault's signatures, present and past, as a JWK set (RFC
    /// 7517).
    ///
    /// # Errors
    /// The database's.
    pub async fn keys(&self) -> Result<KeySet, Error> {
        Ok(signing_keys::all(&mut self.0.db.read().await?).await?)
    }

    /// Returns the id of the key that signs now.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`].
    pub async fn signing_key_id(&self) -> Result<String, Error> {
        let signer = self.0.with_root(async || {
            let mut tx = self.0.db.read().await?;
            self.0.signer(&mut tx).await
        });
        Ok(signer.await?.key_id().to_owned())
    }

    /// Signs the statement that this vault published exactly this policy file.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`].
    pub async fn sign_publication(
        &self,
        unit: &mut Unit,
        rules: &Rules,
        at: Timestamp,
    ) -> Result<String, Error> {
        let signer = self.0.signer(unit).await?;
        Ok(Publication::of(self.0.id, rules, at).sign(&signer))
    }

    /// Signs the receipt for the whole of a revocation.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`].
    pub async fn sign_revocation(
        &self,
        unit: &mut Unit,
        receipt: &RevocationReceipt,
    ) -> Result<String, Error> {
        Ok(receipt.sign(&*self.0.signer(unit).await?))
    }

    /// Signs the evidence of a drill.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`].
    pub async fn sign_drill(&self, unit: &mut Unit, drill: &DrillReport) -> Result<String, Error> {
        Ok(drill.sign(&*self.0.signer(unit).await?))
    }

    /// Puts a new signing key in force and destroys the seed of the one before it, in this database.
    /// Older copies of the service page hold that seed until the epoch turns. What was signed stays
    /// valid: its public key stays in [`Self::keys`].
    ///
    /// # Errors
    /// [`keyring::Error::Full`] inside after 121 replacements; the database's.
    pub async fn replace_signing_key(&self, actor: Initiator) -> Result<ReplacedKey, Error> {
        let replaced = self.0.unit("sign.replace_key", async |mut unit| {
            self.0.replace_signing_key(&mut unit, actor).await
        });
        let (replaced, signer) = replaced.await?;
        self.0.signing.set(signer);
        Ok(replaced)
    }

    /// Replaces a retired signing key that a restore has brought back: the lost database had
    /// replaced it after the snapshot.
    ///
    /// # Errors
    /// As [`Self::replace_signing_key`].
    pub(super) async fn retire_what_came_back(&self) -> Result<(), Error> {
        let key = self.signing_key_id().await?;
        if signing_keys::is_in_force(&mut self.0.db.read().await?, &key).await? {
            return Ok(());
        }
        // Decided under the lock of the page: another process may have replaced the key meanwhile.
        let vault = &*self.0;
        let replaced = vault.unit("sign.retire_what_came_back", async |mut unit| {
            let id = key_rows::service_page(&mut unit)
                .await?
                .ok_or(Error::NoVault)?;
            key_rows::lock(&mut unit, &BTreeSet::<PageId>::from([id])).await?;
            let page = ServicePage::open(&mut unit, &vault.root.key(), vault.id).await?;
            if signing_keys::is_in_force(&mut unit, page.signer.key_id()).await? {
                unit.abandon();
                return Ok(None);
            }
            let replaced = vault
                .replace_signing_key(&mut unit, Initiator::Vault)
                .await?;
            Ok(Some(replaced))
        });
        if let Some((ReplacedKey { key_id, retired }, signer)) = replaced.await? {
            vault.signing.set(signer);
            tracing::warn!(
                key_id,
                retired,
                "the vault was rebuilt with a signing key that was retired: another is in force"
            );
        }
        Ok(())
    }
}

impl Inner {
    /// Returns the signing key in force.
    ///
    /// # Errors
    /// [`Error::Keyring`] if the epoch has turned, which [`Self::unit`] handles; the database's.
    pub(super) async fn signer(&self, tx: &mut Tx) -> Result<Arc<Signer>, Error> {
        let known = self.signing.get();
        if signing_keys::is_in_force(tx, known.key_id()).await? {
            return Ok(known);
        }
        let page = ServicePage::open(tx, &self.root.key(), self.id).await?;
        self.signing.set(Arc::clone(&page.signer));
        Ok(page.signer)
    }

    pub(super) async fn replace_signing_key(
        &self,
        unit: &mut Unit,
        actor: Initiator,
    ) -> Result<(ReplacedKey, Arc<Signer>), Error> {
        let now = self.clock.now();
        let id = key_rows::service_page(unit).await?.ok_or(Error::NoVault)?;
        key_rows::lock(unit, &BTreeSet::<PageId>::from([id])).await?;
        let mut service = self.walk(unit, id).await?;
        let before = Signer::from_seed(&keyring::signing_seed(&service.page)?);
        let seed = keyring::replace_signing_seed(&mut service.page, &mut rand::rng())?;
        let signer = Signer::from_seed(&seed);
        let service = service.seal(self.id, &mut rand::rng());
        key_rows::replace_pages(unit, &[service]).await?;

        signing_keys::insert(unit, signer.verifying_key(), now).await?;
        let retired = signing_keys::retire_others(unit, signer.key_id(), now).await?;
        let replaced = ReplacedKey {
            key_id: signer.key_id().to_owned(),
            retired: before.key_id().to_owned(),
        };
        let changed: Vec<&String> = retired.iter().chain([&replaced.key_id]).collect();
        unit.to_journal(OutboxKind::SigningKey, &changed, now);
        unit.audit(NewEntry::signing_key_replaced(
            now,
            actor,
            &replaced.key_id,
            &replaced.retired,
        ));
        Ok((replaced, Arc::new(signer)))
    }
}
