//! Tracks and compositions: from the callback to the proof that nothing is left.

use futures_util::TryStreamExt as _;

use super::{super::*, Story};
use crate::{
    model::sid::RoomSid,
    twilio::{
        Deletion, FetchError, FetchRefusal, VideoCallback, account::EncryptionKeySettings,
        encryption::Pair, media::MediaFile, rest::VideoCopyState, video::VideoEvent,
    },
};

const URL: &str = "https://vault.example/c";

fn room() -> RoomSid {
    format!("RM{}", "1".repeat(32)).parse().unwrap()
}

async fn bytes(file: MediaFile) -> Result<Vec<u8>, FetchError> {
    let chunks: Vec<_> = file.body.try_collect().await?;
    Ok(chunks.concat())
}

async fn open_to_storage() -> Story {
    Story::with(|settings| settings.media_redirect_hosts = vec!["127.0.0.1".into()]).await
}

#[tokio::test]
async fn a_track_is_told_fetched_and_deleted() {
    let story = open_to_storage().await;
    let (twilio, client) = (&story.twilio, &story.client);
    let account = story.accounts.get(&story.account).unwrap();
    let alice = twilio.add_room_participant(&story.account, &room(), "alice");
    let sid = twilio.add_track(&story.account, TrackFacts::new(&room(), &alice));
    let told = twilio.track_callback(&sid, "recording-completed", URL);
    let told = VideoCallback::parse(&story.signed(&told)).unwrap();
    let VideoEvent::Track(track) = told.event else {
        panic!("{told:?}")
    };
    assert_eq!(
        (track.sid.clone(), track.identity),
        (sid.clone(), Some("alice".into()))
    );
    let read = client.track_recording(account, &sid).await.unwrap();
    assert_eq!(
        (read.room, read.participant, read.kind),
        (track.room, track.participant, track.kind)
    );
    let mut listed = client.track_recordings_of(account, &room());
    assert_eq!(
        listed
            .next(client, account)
            .await
            .unwrap()
            .unwrap()
            .items
            .len(),
        1
    );
    let fetched = client.track_media(account, &sid).await.unwrap();
    assert_eq!(bytes(fetched).await.unwrap(), matroska(b"a track"));
    assert!(!twilio.saw_authorization_elsewhere() && twilio.requests_elsewhere() == 1);

    assert_eq!(
        client.track_recording_state(account, &sid).await,
        Ok(VideoCopyState::Present)
    );
    assert_eq!(
        client.delete_track_recording(account, &sid).await,
        Ok(Deletion::Deleted)
    );
    assert_eq!(
        client.track_recording_state(account, &sid).await,
        Ok(VideoCopyState::Deleted)
    );
    assert_eq!(
        client.track_media(account, &sid).await.unwrap_err(),
        FetchError::NotYet
    );
    let mut listed = client.track_recordings(
        account,
        twilio.now().before(std::time::Duration::from_hours(1)),
        None,
    );
    assert_eq!(
        listed.next(client, account).await.unwrap().unwrap().items,
        []
    );
    twilio.advance(std::time::Duration::from_hours(31 * 24));
    assert_eq!(
        client.track_recording_state(account, &sid).await,
        Ok(VideoCopyState::Gone)
    );
    assert_eq!(client.opens_video(account).await, Ok(()));

    let mut people = client.room_participants(account, &room(), "disconnected");
    let people = people.next(client, account).await.unwrap().unwrap().items;
    assert_eq!(people[0].identity, Some("alice".into()));
    client
        .anonymize_participant(account, &room(), &alice)
        .await
        .unwrap();
    assert_eq!(twilio.room_identity(&alice), Some(alice.to_string()));
}

#[tokio::test]
async fn a_composition_is_told_fetched_and_deleted() {
    let story = open_to_storage().await;
    let (twilio, client) = (&story.twilio, &story.client);
    let account = story.accounts.get(&story.account).unwrap();
    let sid = twilio.add_composition(&story.account, CompositionFacts::new(&room()));
    let told = twilio.composition_callback(&sid, "composition-available", URL);
    let told = VideoCallback::parse(&story.signed(&told)).unwrap();
    let VideoEvent::Composition(event) = told.event else {
        panic!("{told:?}")
    };
    assert_eq!(event.composition.unwrap().sid, sid);
    let mut listed = client.compositions_of(account, &room());
    let listed = listed.next(client, account).await.unwrap().unwrap().items;
    let fetched = client
        .composition_media(account, &sid, listed[0].container())
        .await
        .unwrap();
    assert_eq!(bytes(fetched).await.unwrap(), matroska(b"a composition"));
    assert_eq!(
        client.delete_composition(account, &sid).await,
        Ok(Deletion::Deleted)
    );
    assert_eq!(
        client.composition_state(account, &sid).await,
        Ok(VideoCopyState::Deleted)
    );
    assert!(!twilio.keeps_composition(&sid));
}

#[tokio::test]
async fn an_encrypted_track_is_opened_with_the_key_that_fits() {
    let pair = Pair::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video.pem");
    std::fs::write(&path, pair.pem()).unwrap();
    let story = Story::with(|settings| {
        settings.media_redirect_hosts = vec!["127.0.0.1".into()];
        settings.encryption_keys = vec![EncryptionKeySettings {
            public_key_sid: format!("CR{}", "1".repeat(32)).parse().unwrap(),
            private_key_file: Some(path),
            pkcs11: None,
        }];
    })
    .await;
    let account = story.accounts.get(&story.account).unwrap();
    let alice = story
        .twilio
        .add_room_participant(&story.account, &room(), "alice");
    let fetch = async |file: bytes::Bytes, headers: Vec<(String, String)>| {
        let facts = TrackFacts {
            media: Some(file),
            headers,
            ..TrackFacts::new(&room(), &alice)
        };
        let sid = story.twilio.add_track(&story.account, facts);
        story.client.track_media(account, &sid).await
    };
    let keys = story.accounts.encryption_keys();
    let plain = matroska(b"a track");
    let (file, headers) = encrypted_film(&plain, &pair.public);
    let whole = fetch(file.clone(), headers.clone()).await.unwrap();
    assert!(whole.envelope.is_some());
    let opened = whole.opened(keys).unwrap();
    assert_eq!(opened.content_length, Some(plain.len() as u64));
    assert_eq!(bytes(opened).await.unwrap(), plain);

    // Unopened, it is no track.
    let closed = fetch(file.clone(), headers.clone()).await.unwrap();
    assert!(matches!(
        bytes(closed).await,
        Err(FetchError::Refused {
            cause: FetchRefusal::Container { .. }
        })
    ));
    let cut = fetch(file.slice(..file.len() - 16), headers.clone())
        .await
        .unwrap();
    assert!(bytes(cut.opened(keys).unwrap()).await.is_err());
    let mut altered = file.to_vec();
    altered[0] ^= 1;
    let altered = fetch(altered.into(), headers.clone()).await.unwrap();
    assert!(bytes(altered.opened(keys).unwrap()).await.is_err());
    let (file, headers) = encrypted_film(&plain, &Pair::new().public);
    let strange = fetch(file.clone(), headers.clone()).await.unwrap();
    assert_eq!(
        strange.opened(keys).unwrap_err(),
        FetchRefusal::NoEnvelopeKey.into()
    );
    let half = fetch(file, headers[..1].to_vec()).await;
    assert!(matches!(
        half,
        Err(FetchError::Refused {
            cause: FetchRefusal::Envelope(_)
        })
    ));
}
