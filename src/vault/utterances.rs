//! Utterances of a running call: each is sealed in its row until it is stored with a recording
//! under the recording's own key.
//!
//! Owns writing and reading these rows. Each utterance has a key of its own, so none can replace
//! another; `waiting` defines where the keys come from.

use zeroize::Zeroizing;

use super::{
    Vault,
    error::Error,
    waiting::{PendingSlot, UtteranceId},
};
use crate::{
    db::{
        Tx,
        utterances::{self, Utterance},
    },
    model::{
        sid::{AccountSid, TranscriptSid},
        time::Timestamp,
    },
};

impl Vault {
    /// Stores an utterance, sealed, within a unit that began with [`Self::hold_epoch`]; without a
    /// text, only its number. A number of a track is stored once. Returns whether it is new.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`] if [`Self::follow_from`] must be called.
    pub async fn keep_utterance(
        &self,
        tx: &mut Tx,
        of: UtteranceId<'_>,
        text: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let sealed = match text {
            Some(text) => self.0.seal_waiting(
                &self.0.lock_epoch_shared(tx).await?,
                PendingSlot::Piece(of),
                text,
            ),
            None => Vec::new(),
        };
        let utterance = Utterance {
            track: of.track.to_owned(),
            sequence: of.sequence,
            sealed,
        };
        Ok(utterances::insert(tx, of.account, of.transcription, &utterance, now).await?)
    }

    /// Returns the utterances of a transcription, by track and number, each with its text if it has
    /// one.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`] if an utterance was not sealed for its slot.
    pub async fn utterances(
        &self,
        account: &AccountSid,
        transcription: &TranscriptSid,
    ) -> Result<Vec<(Utterance, Option<Zeroizing<String>>)>, Error> {
        let vault = &*self.0;
        vault
            .with_root(async || {
                // One query reads all of them under one root.
                let rows =
                    utterances::of(&mut vault.db.read().await?, account, transcription).await?;
                let opened = rows.into_iter().map(|row| {
                    let of = UtteranceId {
                        account,
                        transcription,
                        track: &row.track,
                        sequence: row.sequence,
                    };
                    let text = (!row.sealed.is_empty())
                        .then(|| vault.open_waiting(PendingSlot::Piece(of), &row.sealed))
                        .transpose()?;
                    Ok((row, text))
                });
                opened.collect()
            })
            .await
    }
}
