//! Download of the files of Video: from Twilio or from a bucket, in the clear or encrypted with the
//! customer's key.
//!
//! Owns the order: the metadata first, which alone say where the file is and what it must be.
//! Refuses to know how each step is done (`twilio`), and what becomes of the bytes.
//!
//! An encrypted file is not authentic: only its padding, its length and its container are checked.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{media::MediaKind, recording::Recording},
    twilio::{
        Account, Accounts, FetchError, FetchRefusal, FileContainer, RestError, TransientFailure,
        TwilioClient,
        media::MediaFile,
        video::{Composition, TrackKind, TrackRecording},
    },
};

/// A hardware token that does not respond must not block a fetch forever; the next attempt tries
/// again.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file to be sealed.
pub(super) struct Film {
    /// The file in the clear.
    pub(super) file: MediaFile,
    /// The type under which it is sealed: that of its container.
    pub(super) content_type: &'static str,
}

/// Begins to fetch the file of a track or composition.
pub(super) async fn film(
    client: &TwilioClient,
    accounts: &Arc<Accounts>,
    account: &Account,
    recording: &Recording,
) -> Result<Film, FetchError> {
    let place = match recording.kind() {
        MediaKind::VideoTrack => track(client, account, recording).await?,
        _ => composition(client, account, recording).await?,
    };
    let elsewhere = match &place.location {
        Some(location) => {
            client
                .external_file(account, location, place.container)
                .await?
        }
        None => None,
    };
    let file = match (elsewhere, &place.source) {
        (Some(file), _) => file,
        (None, Source::Track(track)) => client.track_media(account, &track.sid).await?,
        (None, Source::Composition(composition)) => {
            client
                .composition_media(account, &composition.sid, place.container)
                .await?
        }
    };
    Ok(Film {
        file: opened(accounts, file).await?,
        content_type: place.content_type,
    })
}

/// Where a file is, and what it must be.
struct Place {
    source: Source,
    location: Option<String>,
    container: FileContainer,
    content_type: &'static str,
}

enum Source {
    Track(TrackRecording),
    Composition(Composition),
}

async fn track(
    client: &TwilioClient,
    account: &Account,
    recording: &Recording,
) -> Result<Place, FetchError> {
    let sid = recording.source_ref.sid().parse();
    let sid = sid.map_err(|_| NO_VIDEO)?;
    let track = found(client.track_recording(account, &sid).await)?;
    if track.status != "completed" {
        return Err(FetchError::NotYet);
    }
    let told = || match recording.source.as_deref() {
        Some("audio") => Some(TrackKind::Audio),
        _ => None,
    };
    Ok(Place {
        location: track
            .media_external_location
            .as_ref()
            .map(|location| location.expose().to_owned()),
        container: FileContainer::Matroska,
        content_type: match track.kind.or_else(told) {
            Some(TrackKind::Audio) => "audio/x-matroska",
            Some(TrackKind::Video) | None => "video/x-matroska",
        },
        source: Source::Track(track),
    })
}

async fn composition(
    client: &TwilioClient,
    account: &Account,
    recording: &Recording,
) -> Result<Place, FetchError> {
    let sid = recording.source_ref.sid().parse();
    let sid = sid.map_err(|_| NO_VIDEO)?;
    let composition = found(client.composition(account, &sid).await)?;
    if composition.status != "completed" {
        return Err(FetchError::NotYet);
    }
    let container = composition.container();
    Ok(Place {
        location: composition
            .media_external_location
            .as_ref()
            .map(|location| location.expose().to_owned()),
        container,
        content_type: match container {
            FileContainer::Mp4 => "video/mp4",
            FileContainer::Matroska | FileContainer::Any => "video/webm",
        },
        source: Source::Composition(composition),
    })
}

const NO_VIDEO: FetchError = FetchError::Refused {
    cause: FetchRefusal::Metadata("its id is not one of Video"),
};

/// Metadata that are not there, or no longer, are no more than a file that is not there yet.
fn found<T>(told: Result<T, RestError>) -> Result<T, FetchError> {
    match told {
        Err(RestError::NotFound) => Err(FetchError::NotYet),
        told => told.map_err(FetchError::from),
    }
}

/// Opens an encrypted file, on a thread that may block.
async fn opened(accounts: &Arc<Accounts>, file: MediaFile) -> Result<MediaFile, FetchError> {
    if file.envelope.is_none() {
        return Ok(file);
    }
    let accounts = Arc::clone(accounts);
    let opening = tokio::task::spawn_blocking(move || file.opened(accounts.encryption_keys()));
    let late = |why: &str| TransientFailure::EnvelopeKey { why: why.into() };
    match tokio::time::timeout(PATIENCE, opening).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(_)) => Err(late("the process is ending").into()),
        Err(_) => Err(late("no answer within 30 s").into()),
    }
}
