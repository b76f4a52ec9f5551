//! Fetching, sealing and storing of a recording.
//!
//! Owns the order: whether it is kept at all, its parties, its media, its entry in the vault.
//! Refuses to know how media are downloaded (`source`, `film`) and sealed; the vault does.

mod deposit;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};

use self::deposit::Afterwards;
use super::{
    failure::FetchFailure,
    fetched::Fetched,
    film::{Film, film},
    keep::{Admission, AudioFailure, lets_go_unheard},
    messages::fetch::MessageFetching,
    parties::{FetchTarget, PartyLookup},
    source::sound,
};
use crate::{
    db::work::Lease,
    flow::{twilio_access::TwilioAccess, wakeups::Wakeups},
    model::{
        crash,
        id::RecordingId,
        media::MediaKind,
        recording::{Recording, RecordingState},
        time::{Clock, Timestamp},
    },
    policy::{self, Rulebook},
    twilio::{Account, Accounts, DeleteSource, FetchError},
    vault::{self, DepositError, DepositOptions, Vault},
};

/// Fetches and seals recordings.
pub(in crate::flow) struct Fetching {
    vault: Vault,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    wakeups: Wakeups,
    lookup: Arc<PartyLookup>,
    admission: Arc<Admission>,
    messages: MessageFetching,
}

impl Fetching {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a dependency of its own, given once by the assembly"
    )]
    pub(in crate::flow) fn new(
        vault: Vault,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        wakeups: Wakeups,
        lookup: Arc<PartyLookup>,
        admission: Arc<Admission>,
        messages: MessageFetching,
    ) -> Self {
        Self {
            vault,
            rulebook,
            clock,
            twilio,
            wakeups,
            lookup,
            admission,
            messages,
        }
    }

    /// Fetches and seals the recording of a lease.
    pub(in crate::flow) async fn fetch(
        &self,
        lease: &Lease<RecordingId>,
    ) -> Result<Fetched, FetchFailure> {
        crash::point("fetch.leased");
        if let Some(message) = self.announced_message(lease).await? {
            return self.messages.fetch(lease, &message).await;
        }
        let Some(FetchTarget {
            mut recording,
            parties,
        }) = self.lookup.known(lease).await?
        else {
            return Ok(Fetched::Nothing);
        };
        if self
            .admission
            .is_revoked(&recording)
            .await
            .map_err(FetchFailure::Ours)?
        {
            return Ok(Fetched::LetGo);
        }
        if let Some(why) = lets_go_unheard(&self.rulebook, &recording) {
            self.admission
                .let_go(recording.id, why)
                .await
                .map_err(FetchFailure::Ours)?;
            return Ok(Fetched::LetGo);
        }
        recording.quarantine_ends = policy::quarantine(&recording, &self.rulebook)
            .map(|period| self.clock.now().after(period));
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(recording.account())
            .ok_or(FetchFailure::UnknownAccount)?;
        let SourceMedia {
            body,
            content_type,
            promised,
        } = self
            .media(&accounts, account, &recording)
            .await
            .map_err(FetchFailure::Source)?;
        let body = body.inspect(|chunk| {
            if let Ok(chunk) = chunk {
                metrics::counter!("recvault_fetched_bytes_total").increment(chunk.len() as u64);
            }
        });
        let body = self.admission.measured(&recording, body);
        let options = DepositOptions {
            parties: &parties,
            promised: promised.as_deref(),
        };
        let afterwards = afterwards(account, &recording, self.clock.now());
        let deposited = self
            .deposit(lease, &recording, content_type, options, afterwards, body)
            .await;
        match deposited {
            Ok(_) => {}
            Err(DepositError::Source(AudioFailure::Off(error))) => {
                return Err(FetchFailure::Source(error));
            }
            Err(DepositError::Source(AudioFailure::NotKept(why))) => {
                self.admission
                    .let_go(recording.id, why)
                    .await
                    .map_err(FetchFailure::Ours)?;
                return Ok(Fetched::LetGo);
            }
            // Revoked during the fetch: the stored ciphertext is discarded again.
            Err(DepositError::Vault(vault::Error::Gone))
                if self
                    .admission
                    .is_revoked(&recording)
                    .await
                    .map_err(FetchFailure::Ours)? =>
            {
                return Ok(Fetched::LetGo);
            }
            Err(DepositError::Vault(error)) => return Err(FetchFailure::Ours(error.into())),
        };
        self.wakeups.journal.notify_one();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a lag in seconds needs no more than 52 bits"
        )]
        metrics::histogram!("recvault_ingest_lag_seconds")
            .record(self.clock.now().since(lease.enqueued_at).as_millis() as f64 / 1000.0);
        Ok(Fetched::Sealed)
    }
}

impl Fetching {
    /// Returns the recording of a lease if it is a message that waits to be fetched, for the first
    /// time or again.
    async fn announced_message(
        &self,
        lease: &Lease<RecordingId>,
    ) -> Result<Option<Recording>, FetchFailure> {
        let found = self.lookup.recording(lease.subject).await;
        let found = found.map_err(FetchFailure::Ours)?;
        Ok(found.filter(|recording| {
            match recording.state {
                RecordingState::Announced => recording.kind().is_written(),
                // It was edited, and the event did not have the new state.
                RecordingState::Sealed => recording.kind() == MediaKind::ChatMessage,
                _ => false,
            }
        }))
    }
}

/// The media of a recording at the source.
struct SourceMedia {
    body: BoxStream<'static, Result<Bytes, FetchError>>,
    /// The type under which it is sealed.
    content_type: &'static str,
    /// The length that a header claims, if it exceeds that of the file; known at its end.
    promised: Option<Arc<OnceLock<u64>>>,
}

impl Fetching {
    async fn media(
        &self,
        accounts: &Arc<Accounts>,
        account: &Account,
        recording: &Recording,
    ) -> Result<SourceMedia, FetchError> {
        let client = &self.twilio.client;
        if recording.kind() == MediaKind::CallAudio {
            let sound = sound(client, accounts, account, recording).await?;
            return Ok(SourceMedia {
                promised: Some(sound.riff_len_excess()),
                body: sound.boxed(),
                content_type: WAV,
            });
        }
        let Film { file, content_type } = film(client, accounts, account, recording).await?;
        Ok(SourceMedia {
            body: file.body.boxed(),
            content_type,
            promised: None,
        })
    }
}

/// Returns the work at the source after a recording is sealed now. Only calls have transcripts
/// there, which their deletion waits for.
fn afterwards(account: &Account, recording: &Recording, now: Timestamp) -> Afterwards {
    let is_call = recording.kind() == MediaKind::CallAudio;
    let erased_by = if is_call {
        now.after(account.await_transcript())
    } else {
        now
    };
    Afterwards {
        erase_at: (account.delete_source() == DeleteSource::AfterSealing).then_some(erased_by),
        look_at: (is_call && account.fetches_transcripts()).then(|| now.after(SOON)),
    }
}

/// The delay before the first poll: a short recording is transcribed by then.
const SOON: Duration = Duration::from_secs(600);

/// RIFF WAVE (RFC 2361); the fetch checked the header.
const WAV: &str = "audio/wav";
