//! What is said in a running call: sealed in its row until it is filed with a recording and has the
//! recording's own key.
//!
//! Owns the way in and out of these rows. Each piece has a key of its own, so none can take
//! another's place; `waiting` says where the keys come from.

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
    /// Keeps something that was said, sealed, within a unit that began with [`Self::hold_epoch`];
    /// without a text, only its number. The same number of the same track is kept once; whether it
    /// is new.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`] if [`Self::follow_from`] is to be called.
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

    /// The pieces of a transcription, by track and number, and what was said in each that has
    /// words.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`] if one of them is not what was sealed for its place.
    pub async fn utterances(
        &self,
        account: &AccountSid,
        transcription: &TranscriptSid,
    ) -> Result<Vec<(Utterance, Option<Zeroizing<String>>)>, Error> {
        let vault = &*self.0;
        vault
            .with_root(async || {
                // One query sees all of them as they are under one root.
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
