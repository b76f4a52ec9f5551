//! Redirects: permitted targets, and the credential on the way.

use bytes::Bytes;

use super::{super::*, Story, recording_sid};
use crate::{
    demo::conversation::WAV,
    twilio::{FetchRefusal, MAX_REDIRECTS},
};

#[tokio::test]
async fn a_redirect_to_a_listed_host_is_followed_without_the_credential() {
    let storage = ForeignHost::start(Bytes::from_static(WAV)).await.unwrap();
    let story =
        Story::with(|settings| settings.media_redirect_hosts = vec!["127.0.0.1".into()]).await;
    story.fail(MediaFault::RedirectTo {
        url: format!("{}/bucket/key?X-Signature=1", storage.base_url()),
    });
    assert!(story.fetch(None).await.unwrap() == WAV);
    assert_eq!(
        (storage.requests(), storage.saw_authorization()),
        (1, false)
    );
}

#[tokio::test]
async fn a_redirect_to_another_host_is_refused_before_it_is_asked() {
    let stranger = ForeignHost::start(Bytes::from_static(WAV)).await.unwrap();
    let story = Story::begin().await;
    // The same host with another port is another origin.
    story.fail(MediaFault::RedirectTo {
        url: format!("{}/x?secret=1", stranger.base_url()),
    });
    let error = story.failure().await;
    assert_eq!(
        error,
        FetchRefusal::ForeignHost {
            host: "127.0.0.1".into()
        }
        .into()
    );
    assert!(!error.to_string().contains("secret"));
    story.fail(MediaFault::RedirectTo {
        url: "http://evil.example/x".into(),
    });
    assert_eq!(
        story.failure().await,
        FetchRefusal::ForeignHost {
            host: "evil.example".into()
        }
        .into()
    );
    assert_eq!(
        (stranger.requests(), stranger.saw_authorization()),
        (0, false)
    );
}

#[tokio::test]
async fn a_redirect_within_twilio_carries_the_credential_to_this_recording_only() {
    let story = Story::begin().await;
    let path = format!("/2010-04-01/Accounts/{}/Recordings", story.account);
    story.fail(MediaFault::RedirectTo {
        url: format!("{path}/{}", story.recording),
    });
    assert!(story.fetch(None).await.unwrap() == WAV);
    let other = recording_sid('2');
    story
        .twilio
        .add_recording(&story.account, other.clone(), Bytes::from_static(WAV));
    story.fail(MediaFault::RedirectTo {
        url: format!("{path}/{other}.wav"),
    });
    assert_eq!(story.failure().await, FetchRefusal::Credential(401).into());
}

#[tokio::test]
async fn redirects_end() {
    let story = Story::begin().await;
    let own = format!(
        "/2010-04-01/Accounts/{}/Recordings/{}.wav",
        story.account, story.recording
    );
    for _ in 0..MAX_REDIRECTS {
        story.fail(MediaFault::RedirectTo { url: own.clone() });
    }
    assert!(story.fetch(None).await.is_ok());
    for _ in 0..=MAX_REDIRECTS {
        story.fail(MediaFault::RedirectTo { url: own.clone() });
    }
    assert_eq!(story.failure().await, FetchRefusal::TooManyRedirects.into());
}
