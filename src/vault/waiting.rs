//! Data that waits for a recording: addresses and names of parties, and utterances of running
//! calls, sealed under keys that each turn replaces.
//!
//! ```text
//! row = "rvwait/2" ‖ epoch (8 bytes, big-endian) ‖ note, sealed under a key that hangs from the root page's key of that epoch
//! ```
//! Owns this envelope, and moving the waiting data from one epoch into the next. Refuses to know
//! when data stops waiting.
//!
//! INVARIANTS
//! - Data are sealed only under the root that is present until the unit commits: only
//!   [`Inner::lock_epoch_shared`] makes an [`EpochShared`].
//! - The unit that ends an epoch reseals everything that still waits under the next root. Data
//!   removed before that are opened by no remaining root.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Inner, Vault, error::Error};
use crate::{
    db::{
        Tx, epochs,
        image::{Image, Table},
        utterances,
        waiting::{self, PendingPlace},
    },
    keyring::{self, RootKey},
    model::{
        id::VaultId,
        sid::{AccountSid, TranscriptSid},
    },
    secret::Key,
};

/// The first bytes of a row.
const MAGIC: &[u8; 8] = b"rvwait/2";
/// Rows resealed under the next root at a time.
const ROWS: i64 = 512;

/// The identity of an utterance.
#[derive(Clone, Copy, Debug)]
pub struct UtteranceId<'a> {
    /// The account.
    pub account: &'a AccountSid,
    /// The transcription.
    pub transcription: &'a TranscriptSid,
    /// The source's name of the side of the call.
    pub track: &'a str,
    /// The source's number of the utterance.
    pub sequence: i64,
}

/// The root page key of an epoch that no turn ends before the unit does.
pub(super) struct EpochShared(Arc<RootKey>);

/// Proof that no other unit stores waiting data before this unit ends.
pub(super) struct EpochExclusive(());

/// The slot of waiting data: its key is derived from the slot, so a row cannot replace another.
#[derive(Clone, Copy, Debug)]
pub(super) enum PendingSlot<'a> {
    /// The details of a party.
    Party(&'a PendingPlace),
    /// An utterance.
    Piece(UtteranceId<'a>),
}

impl PendingSlot<'_> {
    fn key(&self, root: &RootKey) -> Key {
        match self {
            Self::Party(of) => keyring::waiting_key(root, &of.conversation, &of.scope, &of.leg),
            Self::Piece(of) => {
                keyring::utterance_key(root, of.account, of.transcription, of.track, of.sequence)
            }
        }
    }

    fn seal(&self, root: &RootKey, vault: VaultId, text: &str) -> Vec<u8> {
        let note = keyring::seal_note(&self.key(root), vault, text, &mut rand::rng());
        [MAGIC.as_slice(), &root.epoch.to_be_bytes(), &note].concat()
    }

    /// Returns [`keyring::Error::OtherEpoch`] if the data are of a later epoch than the root. Data
    /// of an earlier epoch are lost: the error is `NotAuthentic`.
    fn open(
        &self,
        root: &RootKey,
        vault: VaultId,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, keyring::Error> {
        let rest = sealed
            .strip_prefix(MAGIC)
            .ok_or(keyring::Error::NotAuthentic)?;
        let (epoch, note) = rest
            .split_first_chunk()
            .ok_or(keyring::Error::NotAuthentic)?;
        match u64::from_be_bytes(*epoch) {
            later if later > root.epoch => Err(keyring::Error::OtherEpoch(later)),
            _ => keyring::open_note(&self.key(root), vault, note),
        }
    }
}

impl Vault {
    /// Holds the epoch: no turn ends it before the unit ends. Must be called first in a unit that
    /// stores waiting data or takes them over, because a turn that has begun to end the epoch locks
    /// rows that such a unit locks, too.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`] if [`Self::follow_from`] must be called.
    pub async fn hold_epoch(&self, tx: &mut Tx) -> Result<(), Error> {
        self.0.lock_epoch_shared(tx).await.map(drop)
    }
}

impl Inner {
    /// Returns the present epoch's root, which stays present until the unit ends.
    ///
    /// # Errors
    /// The database's; [`keyring::Error::OtherEpoch`] inside if this process has not loaded that
    /// root yet.
    pub(super) async fn lock_epoch_shared(&self, tx: &mut Tx) -> Result<EpochShared, Error> {
        let current = epochs::hold(tx).await?;
        let root = self.root.key();
        if current == root.epoch {
            Ok(EpochShared(root))
        } else {
            Err(keyring::Error::OtherEpoch(current).into())
        }
    }

    /// Seals data for their slot.
    pub(super) fn seal_waiting(
        &self,
        present: &EpochShared,
        waits: PendingSlot<'_>,
        text: &str,
    ) -> Vec<u8> {
        waits.seal(&present.0, self.id, text)
    }

    /// Opens the data of a slot.
    ///
    /// # Errors
    /// [`Error::Keyring`] if the data were not sealed for this slot, or are of an epoch that this
    /// process has not loaded yet.
    pub(super) fn open_waiting(
        &self,
        waits: PendingSlot<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, Error> {
        Ok(waits.open(&self.root.key(), self.id, sealed)?)
    }

    /// Must be called first in the unit that ends the epoch: waits for the units that hold it.
    pub(super) async fn lock_epoch_exclusive(&self, tx: &mut Tx) -> Result<EpochExclusive, Error> {
        epochs::hold_alone(tx).await?;
        Ok(EpochExclusive(()))
    }

    /// Reseals all waiting data under the next root, in the unit that ends the epoch. Runs after
    /// the pages: a shred locks them in this order, too.
    pub(super) async fn reseal_pending(
        &self,
        tx: &mut Tx,
        _: &EpochExclusive,
        next: &RootKey,
    ) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = waiting::chunk(tx, after.as_ref(), ROWS).await?;
            let carried: Vec<_> = page
                .iter()
                .filter_map(|(place, sealed)| {
                    let carried = self.carried(PendingSlot::Party(place), sealed, next)?;
                    Some((place.clone(), carried))
                })
                .collect();
            waiting::replace(tx, &carried).await?;
            match page.into_iter().next_back() {
                Some((place, _)) => after = Some(place),
                None => break,
            }
        }
        let mut after = None;
        loop {
            let mut page = utterances::chunk(tx, after.as_ref(), ROWS).await?;
            let Some(last) = page.last().cloned() else {
                return Ok(());
            };
            page.retain_mut(|row| {
                let account = &row.account;
                let transcription = &row.transcription;
                let of = UtteranceId {
                    account,
                    transcription,
                    track: &row.utterance.track,
                    sequence: row.utterance.sequence,
                };
                let carried = self.carried(PendingSlot::Piece(of), &row.utterance.sealed, next);
                carried
                    .map(|sealed| row.utterance.sealed = sealed)
                    .is_some()
            });
            utterances::replace(tx, &page).await?;
            after = Some(last);
        }
    }

    /// Returns `None` for data that cannot be opened: they are left as they are, and no root opens
    /// them any more.
    fn carried(&self, waits: PendingSlot<'_>, sealed: &[u8], next: &RootKey) -> Option<Vec<u8>> {
        match self.open_waiting(waits, sealed) {
            Ok(text) => Some(waits.seal(next, self.id, &text)),
            Err(error) => {
                tracing::error!(
                    %error,
                    "data that waits for a recording is not authentic, and is dropped"
                );
                None
            }
        }
    }

    /// Returns a row of the journal in a form that the rebuilt vault can open: waiting data in it
    /// may be sealed under the root of another epoch.
    pub(super) fn resealed(&self, row: Image, from: &RootKey) -> Image {
        let root = self.root.key();
        if row.table() != Table::Parties || from.epoch == root.epoch {
            return row;
        }
        let place = || {
            Some(PendingPlace {
                conversation: row.text("conversation")?.parse().ok()?,
                scope: row.text("account")?.parse().ok()?,
                leg: row.text("leg")?.parse().ok()?,
            })
        };
        let Some(place) = place() else {
            return row;
        };
        let waits = PendingSlot::Party(&place);
        let sealed = row.bytes("sealed").filter(|sealed| !sealed.is_empty());
        // Data that this root does not open may be of the snapshot's own epoch, or lost.
        let opened = sealed.and_then(|sealed| waits.open(from, self.id, sealed).ok());
        match opened {
            Some(text) => row.with_bytes("sealed", waits.seal(&root, self.id, &text)),
            None => row,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::subject::Conversation;

    #[test]
    fn what_waits_opens_by_its_own_root_in_its_own_place_and_by_no_other() {
        let rng = &mut rand::rng();
        let vault = VaultId::random(rng);
        let [before, present, after] = [6, 7, 8].map(|epoch| RootKey {
            epoch,
            key: Key::random(&mut rand::rng()),
        });
        let call: Conversation = format!("CA{}", "1".repeat(32)).parse().unwrap();
        let accounts = ["*", &format!("AC{}", "1".repeat(32))].map(str::to_owned);
        let place = |leg: &str, account: &str| PendingPlace {
            conversation: call.clone(),
            scope: account.parse().unwrap(),
            leg: leg.parse().unwrap(),
        };
        let caller = place("caller", &accounts[1]);
        let waits = PendingSlot::Party(&caller);
        let sealed = waits.seal(&present, vault, "+14155550100");

        assert_eq!(
            waits.open(&present, vault, &sealed).unwrap().as_str(),
            "+14155550100"
        );
        assert_eq!(
            waits.open(&after, vault, &sealed).err(),
            Some(keyring::Error::NotAuthentic),
            "the epoch is over"
        );
        assert_eq!(
            waits.open(&before, vault, &sealed).err(),
            Some(keyring::Error::OtherEpoch(7)),
            "it has turned"
        );
        for other in [place("callee", &accounts[1]), place("caller", &accounts[0])] {
            assert!(
                PendingSlot::Party(&other)
                    .open(&present, vault, &sealed)
                    .is_err(),
                "another's place"
            );
        }
        for cut in 0..sealed.len() {
            assert!(
                waits.open(&present, vault, &sealed[..cut]).is_err(),
                "{cut}"
            );
        }
    }
}
