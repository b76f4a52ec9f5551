//! Messages: sealed whole in memory, and entered many at a time.
//!
//! Owns the order: a message is sealed under a record key of its own, and then entered in the unit
//! that announces it. Small ciphertext stays in the database and goes with the journal; the rest is
//! stored first. Refuses to know what a message says and who wrote it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};

use super::{Vault, error::Error, keys::NewRecordKeys};
use crate::{
    db::{
        Unit, artefacts, details,
        recordings::{self, SealedArtefact},
    },
    evidence::NewEntry,
    keyring,
    model::{
        artefact::{Artefact, Leg},
        details::{Participant, Participants},
        id::{ObjectId, RecordingId},
        recording::Recording,
    },
    seal::{Context, Sealer, SegmentLength},
    secret::{Key, SecretBuffer},
};

/// The most ciphertext of one artefact that stays in the database, in bytes.
const INLINE: usize = 16 * 1024;
/// The segments of texts and forms.
const SEGMENT: SegmentLength = SegmentLength::Text;
/// The stored format of both: JSON.
const CONTENT_TYPE: &str = "application/json";

/// A message in the clear.
pub struct MessageContent<'a> {
    /// Every field, as the source delivered them.
    pub form: &'a [u8],
    /// Its text, as a transcript.
    pub text: &'a SecretBuffer,
    /// Sender and receivers.
    pub parties: Vec<Participant>,
    /// The edit that left this state, in milliseconds UTC; `None` for the first state.
    pub edit: Option<u64>,
}

impl MessageContent<'_> {
    /// Returns an artefact's name in this state.
    pub(super) fn artefact(&self, first: Artefact) -> Artefact {
        self.edit.map_or(first, |at| first.after_edit(at))
    }
}

/// A sealed message whose key is not entered yet: until then nothing opens it.
#[must_use = "its objects are orphans until it is entered"]
pub struct SealedMessage {
    recording: RecordingId,
    key: Key,
    artefacts: Vec<SealedArtefact>,
    parties: Vec<u8>,
    form_sha256: [u8; 32],
}

impl SealedMessage {
    /// The recording that it becomes.
    pub fn recording(&self) -> RecordingId {
        self.recording
    }

    /// The objects in the store, for [`Vault::delete_orphan`].
    pub fn objects(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.artefacts.iter().filter_map(|sealed| sealed.object)
    }

    /// The ciphertext length of the form, whose digest the audit log has.
    fn form_len(&self) -> u64 {
        let form = self
            .artefacts
            .iter()
            .find(|sealed| !sealed.artefact.is_text());
        form.map_or(0, |form| form.sealed_len)
    }

    fn plain_len(&self) -> u64 {
        self.artefacts.iter().map(|sealed| sealed.plain_len).sum()
    }
}

impl Vault {
    /// Seals a message under a new record key.
    ///
    /// # Errors
    /// The store's, for a message that is too large for the database.
    pub async fn seal_message(
        &self,
        recording: RecordingId,
        content: MessageContent<'_>,
    ) -> Result<SealedMessage, Error> {
        let key = Key::random(&mut rand::rng());
        let (form, form_sha256) = self
            .seal_small(
                recording,
                &key,
                content.artefact(Artefact::Form),
                content.form,
            )
            .await?;
        let (text, _) = self
            .seal_small(
                recording,
                &key,
                content.artefact(Artefact::Transcript),
                content.text,
            )
            .await?;
        let parties: Participants = content.parties.into_iter().collect();
        let parties = self.0.sealed(recording, &key, &parties);
        Ok(SealedMessage {
            recording,
            key,
            artefacts: vec![form, text],
            parties,
            form_sha256,
        })
    }

    /// Enters sealed messages, in the unit that announced them. Must come first in the unit after
    /// [`Self::hold_epoch`]: it locks the rows. Returns those that were entered, as they are now; a
    /// message that is sealed already, or shredded, is left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn enter_messages(
        &self,
        unit: &mut Unit,
        messages: &[&SealedMessage],
    ) -> Result<Vec<Recording>, Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let ids: Vec<RecordingId> = messages.iter().map(|message| message.recording).collect();
        let entered = recordings::mark_all_sealed(unit, &ids, now).await?;
        let mut sealed: BTreeMap<RecordingId, &SealedMessage> = BTreeMap::new();
        for message in messages {
            // Of a message that came twice at once, the first counts.
            sealed.entry(message.recording).or_insert(message);
        }
        let of = |recording: &Recording| sealed.get(&recording.id).copied().ok_or(Error::Gone);
        let mut by_tier = NewRecordKeys::new();
        let mut artefacts = Vec::with_capacity(2 * entered.len());
        let mut parties = Vec::with_capacity(entered.len());
        for recording in &entered {
            let message = of(recording)?;
            let keys = by_tier.entry(&recording.tier).or_default();
            keys.push((recording.id, Leg::All, &message.key));
            artefacts.extend(message.artefacts.iter().cloned());
            parties.push((recording.id, message.parties.clone()));
        }
        let claimed = vault.claim(unit, &by_tier, &BTreeSet::new()).await?;
        vault.place_keys(unit, by_tier, claimed).await?;
        artefacts::insert(unit, &artefacts, now).await?;
        details::insert(unit, parties, now).await?;
        for recording in &entered {
            let message = of(recording)?;
            unit.audit(NewEntry::recording_sealed(
                now,
                recording,
                Leg::All,
                message.form_len(),
                &message.form_sha256,
            ));
            unit.count("recvault_sealed_bytes_total", message.plain_len());
        }
        Ok(entered)
    }

    /// Seals bytes that are whole in memory. Returns the row, and the SHA-256 of the ciphertext.
    pub(super) async fn seal_small(
        &self,
        recording: RecordingId,
        record_key: &Key,
        artefact: Artefact,
        bytes: &[u8],
    ) -> Result<(SealedArtefact, [u8; 32]), Error> {
        let leg = Leg::All;
        let context = Context {
            vault: self.0.id,
            recording,
            leg,
            artefact,
        };
        let key = keyring::artefact_key(record_key, leg, artefact);
        let mut sealer = Sealer::new(&key, &context, SEGMENT)?;
        let mut out = BytesMut::new();
        sealer.push(bytes, &mut out)?;
        let sealed = sealer.finish(&mut out)?;
        let out = out.freeze();
        let (object, inline, sha256) = if out.len() <= INLINE {
            (None, out.clone(), sha256_of(&out))
        } else {
            let object = ObjectId::random(&mut rand::rng());
            let sha256 = self.store_whole(object, out).await?;
            (Some(object), Bytes::new(), sha256)
        };
        let row = SealedArtefact {
            recording,
            leg,
            artefact,
            object,
            inline,
            plain_len: sealed.plain_len,
            sealed_len: sealed.sealed_len,
            sealed_sha256: hex::encode(sha256),
            segment: SEGMENT.sealed(),
            content_type: CONTENT_TYPE.to_owned(),
            pack: None,
            pack_at: None,
        };
        Ok((row, sha256))
    }
}

fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.copy_from_slice(digest.as_ref());
    hash
}
