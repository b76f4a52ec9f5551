//! Download of a recording's audio: from Twilio or from a bucket, in the clear or encrypted with
//! the customer's key.
//!
//! Owns the order of attempts, because callbacks are incomplete: details of the encryption may be
//! unreadable, and only the metadata has the location of the media. Refuses to know how each
//! attempt is done (`twilio`), and what becomes of the bytes.

use std::time::Duration;

use crate::{
    model::{encryption::Encryption, recording::Recording, sid::RecordingSid},
    twilio::{
        Account, Accounts, FetchError, FetchRefusal, RestError, TransientFailure, TwilioClient,
        encryption::{self, Decryptor},
        media::{self, Body, Media},
        rest::RecordingResource,
    },
};

/// A hardware token that does not respond must not block a fetch forever; the next attempt tries
/// again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the decrypted audio of a recording, after checking its first bytes.
pub(super) async fn sound(
    client: &TwilioClient,
    accounts: &Accounts,
    account: &Account,
    recording: &Recording,
) -> Result<Body, FetchError> {
    const NOT_RIFF: FetchError = FetchError::Refused {
        cause: FetchRefusal::NotRiff,
    };
    let place = Place {
        client,
        account,
        sid: recording
            .source_ref
            .recording_sid()
            .map_err(|error| FetchRefusal::Kind {
                why: error.to_string(),
            })?,
        channels: recording.channels,
    };
    if let Some(told) = &recording.encryption {
        return decrypted(&place, accounts, told).await;
    }
    match place.media().await?.body.begun().await {
        // It may be encrypted, although the callback did not say so, or not readably.
        Err(error) if error == NOT_RIFF => {}
        begun => return begun,
    }
    let resource = match place.metadata().await {
        Err(RestError::NotFound) => return Err(NOT_RIFF),
        told => told.map_err(FetchError::from)?,
    };
    let told =
        encryption::from_value(&resource.encryption_details).map_err(FetchRefusal::Details)?;
    decrypted(&place, accounts, &told.ok_or(NOT_RIFF)?).await
}

async fn decrypted(
    place: &Place<'_>,
    accounts: &Accounts,
    told: &Encryption,
) -> Result<Body, FetchError> {
    // Before the download, which would be useless without the key.
    let decryptor = decryptor(accounts, told).await?;
    place.media().await?.body.decrypted(decryptor).begun().await
}

/// A recording of a call at the source.
struct Place<'a> {
    client: &'a TwilioClient,
    account: &'a Account,
    sid: RecordingSid,
    channels: Option<i64>,
}

impl Place<'_> {
    /// Opens the media at Twilio, or in the bucket where Twilio stored it.
    async fn media(&self) -> Result<Media, FetchError> {
        let answer = self.client.media(self.account, &self.sid, self.channels);
        match answer.await {
            Err(FetchError::NotYet) => {}
            answer => return answer,
        }
        // Not available yet, deleted, or stored elsewhere.
        let address = match self.metadata().await {
            Ok(resource) => resource.media_url,
            Err(RestError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(address) = address else {
            return Err(FetchError::NotYet);
        };
        self.client
            .external_media(self.account, &address)
            .await?
            .ok_or(FetchError::NotYet)
    }

    async fn metadata(&self) -> Result<RecordingResource, RestError> {
        self.client.recording(self.account, &self.sid, false).await
    }
}

/// Opens the decryption key, on a thread that may block.
async fn decryptor(accounts: &Accounts, told: &Encryption) -> Result<Decryptor, FetchError> {
    let sid = told.public_key_sid.clone();
    let key = accounts
        .encryption_keys()
        .find(&sid)
        .ok_or_else(|| FetchRefusal::NoKey { sid: sid.clone() })?;
    let told = told.clone();
    let opening = tokio::task::spawn_blocking(move || media::decryptor(&told, &*key));
    let late = |why: &str| TransientFailure::PrivateKey {
        sid: sid.clone(),
        why: why.into(),
    };
    match tokio::time::timeout(PATIENCE, opening).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(_)) => Err(late("the process is ending").into()),
        Err(_) => Err(late("no answer within 30 s").into()),
    }
}
