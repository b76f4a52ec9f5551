//! Messages: from the webhook to the proof that nothing is left.

use futures_util::TryStreamExt as _;

use super::{super::*, Story};
use crate::twilio::{
    Deletion, FetchError, FetchRefusal, IncomingMessage, MessageListing, MessageStatusCallback,
    RestError,
    account::Account,
    signature::{self, Delivery, SignedRequest, Verified},
};

const FROM: &str = "+493023125001";
const TO: &str = "+493023125002";
const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

impl Story {
    fn account(&self) -> &Account {
        self.accounts.get(&self.account).unwrap()
    }

    fn text(&self, body: &str) -> MessageSid {
        let facts = MessageFacts::inbound(FROM, TO, body);
        self.twilio.add_message(&self.account, facts)
    }

    fn picture(&self, files: Vec<MessageFile>) -> MessageSid {
        let facts = MessageFacts {
            media: files,
            ..MessageFacts::inbound(FROM, TO, "look")
        };
        self.twilio.add_message(&self.account, facts)
    }

    /// A message that has just come in, and is not complete.
    fn fresh_text(&self) -> MessageSid {
        let facts = MessageFacts {
            sent: Some(self.twilio.now()),
            ..MessageFacts::inbound(FROM, TO, "hello")
        };
        self.twilio.add_message(&self.account, facts)
    }

    fn verified(&self, path: &str, callback: &SignedCallback) -> Verified {
        let request = SignedRequest {
            path_and_query: path,
            signature: Some(&callback.signature),
            settings: None,
            delivery: Delivery::Body {
                content_type: Some("application/x-www-form-urlencoded"),
                bytes: callback.body.as_bytes(),
            },
        };
        let public = "https://vault.example".parse().unwrap();
        signature::verify(&self.accounts, &public, &request).unwrap()
    }

    async fn file(&self, message: &MessageSid, file: &MessageFile) -> Result<Vec<u8>, FetchError> {
        let fetched = self
            .client
            .message_media(self.account(), message, &file.sid, &file.content_type)
            .await?;
        let chunks: Vec<_> = fetched.body.try_collect().await?;
        Ok(chunks.concat())
    }

    async fn listed(&self, listing: &MessageListing) -> Vec<MessageSid> {
        let mut pages = self.client.messages(self.account(), listing);
        let mut all = Vec::new();
        while let Some(page) = pages.next(&self.client, self.account()).await.unwrap() {
            assert_eq!(page.unreadable, 0);
            all.extend(page.items.into_iter().map(|message| message.sid));
        }
        all
    }
}

#[tokio::test]
async fn a_message_is_announced_and_read() {
    let story = Story::begin().await;
    let file = MessageFile::new("image/png", b"\x89PNG".as_slice());
    let sid = story.picture(vec![file.clone()]);
    let callback = story
        .twilio
        .message_callback(&sid, "https://vault.example/m");
    let message = IncomingMessage::parse(&story.verified("/m", &callback)).unwrap();
    assert_eq!((&message.sid, message.sender.expose()), (&sid, FROM));
    assert_eq!(
        (message.num_media, message.media[0].sid.as_ref()),
        (1, Some(&file.sid))
    );
    let listed = story
        .client
        .message_media_list(story.account(), &sid)
        .await
        .unwrap();
    assert_eq!(
        (listed.items[0].sid.clone(), listed.items.len()),
        (file.sid.clone(), 1)
    );
    assert_eq!(story.file(&sid, &file).await.unwrap(), b"\x89PNG");
    let read = story.client.message(story.account(), &sid).await.unwrap();
    assert!(read.is_inbound() && read.is_final());
    assert_eq!((read.body, read.num_media), (Some("look".into()), Some(1)));
    let callback =
        story
            .twilio
            .message_status_callback(&sid, "delivered", "https://vault.example/s");
    let status = MessageStatusCallback::parse(&story.verified("/s", &callback)).unwrap();
    assert_eq!((status.sid, status.status.as_str()), (sid, "delivered"));
}

#[tokio::test]
async fn every_message_of_a_time_is_listed_once() {
    let story = Story::begin().await;
    let all: Vec<MessageSid> = (0..7)
        .map(|number| story.text(&number.to_string()))
        .collect();
    let now = story.twilio.now();
    let old = MessageFacts {
        sent: Some(now.before(5 * HOUR)),
        ..MessageFacts::outbound(TO, FROM, "earlier")
    };
    let old = story.twilio.add_message(&story.account, old);
    let forgotten = MessageFacts {
        sent: Some(now.before(24 * 401 * HOUR)),
        ..MessageFacts::inbound(FROM, TO, "long ago")
    };
    let forgotten = story.twilio.add_message(&story.account, forgotten);
    let listing = MessageListing {
        since: now.before(HOUR),
        until: None,
        page_size: 2,
    };
    let mut found = story.listed(&listing).await;
    found.sort();
    let mut expected = all.clone();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(story.twilio.requests(Call::MessageList), 4);
    let earlier = MessageListing {
        since: now.before(24 * 500 * HOUR),
        until: Some(now.before(HOUR)),
        page_size: 1000,
    };
    assert_eq!(story.listed(&earlier).await, [old]);
    assert_eq!(
        story.client.message(story.account(), &forgotten).await,
        Err(RestError::NotFound)
    );
}

#[tokio::test]
async fn a_file_comes_from_storage_without_the_credential() {
    let story =
        Story::with(|settings| settings.media_redirect_hosts = vec!["127.0.0.1".into()]).await;
    let file = MessageFile::new("image/png", b"picture".as_slice());
    let sid = story.picture(vec![file.clone()]);
    story.twilio.behave(|behaviour| {
        behaviour.media_redirect = Some(MediaRedirect { status: 307 });
    });
    assert_eq!(story.file(&sid, &file).await.unwrap(), b"picture");
    assert_eq!(
        (
            story.twilio.requests_elsewhere(),
            story.twilio.saw_authorization_elsewhere()
        ),
        (1, false)
    );
    let strict = Story::begin().await;
    let sid = strict.picture(vec![file.clone()]);
    strict.twilio.behave(|behaviour| {
        behaviour.media_redirect = Some(MediaRedirect { status: 302 });
    });
    let host = "127.0.0.1".into();
    assert_eq!(
        strict.file(&sid, &file).await.unwrap_err(),
        FetchRefusal::ForeignHost { host }.into()
    );
}

#[tokio::test]
async fn a_file_is_late_and_an_error_document_is_no_file() {
    let story = Story::begin().await;
    let file = MessageFile::new("image/png", b"picture".as_slice());
    let page = MessageFile::new("text/html", b"<p>hi</p>".as_slice());
    let sid = story.picture(vec![file.clone(), page.clone()]);
    story
        .twilio
        .behave(|behaviour| behaviour.message_media_delay = HOUR);
    assert_eq!(story.file(&sid, &file).await, Err(FetchError::NotYet));
    let empty = story
        .client
        .message_media_list(story.account(), &sid)
        .await
        .unwrap();
    assert!(empty.items.is_empty());
    story.twilio.advance(HOUR);
    assert_eq!(story.file(&sid, &file).await.unwrap(), b"picture");
    assert_eq!(story.file(&sid, &page).await.unwrap(), b"<p>hi</p>");
    story
        .twilio
        .fail_call(Call::MessageFile, RequestFault::NotJson);
    assert!(matches!(
        story.file(&sid, &file).await,
        Err(FetchError::Refused {
            cause: FetchRefusal::ContentType { .. }
        })
    ));
    let cut = RequestFault::CutBody;
    story.twilio.fail_call(Call::MessageFile, cut);
    assert!(story.file(&sid, &file).await.is_err());
}

#[tokio::test]
async fn what_has_just_come_in_cannot_be_deleted_yet() {
    let story = Story::begin().await;
    let sid = story.fresh_text();
    let (client, account) = (&story.client, story.account());
    assert_eq!(
        client.delete_message(account, &sid).await,
        Ok(Deletion::NotYet)
    );
    assert_eq!(
        client.redact_message(account, &sid).await,
        Ok(Deletion::NotYet)
    );
    assert!(story.twilio.remaining_message(&sid).text);
    story.twilio.advance(HOUR);
    assert_eq!(
        client.redact_message(account, &sid).await,
        Ok(Deletion::Deleted)
    );
    assert!(!story.twilio.remaining_message(&sid).text);
    let read = client.message(account, &sid).await.unwrap();
    assert_eq!(read.body, Some("".into()));
    assert_eq!(
        client.delete_message(account, &sid).await,
        Ok(Deletion::Deleted)
    );
    assert_eq!(
        client.delete_message(account, &sid).await,
        Ok(Deletion::Gone)
    );
    assert_eq!(
        client.message(account, &sid).await,
        Err(RestError::NotFound)
    );
    assert_eq!(client.opens_messages(account).await, Ok(()));
}

#[tokio::test]
async fn a_shared_file_stays_until_the_last_message_lets_it_go() {
    let story = Story::begin().await;
    let file = MessageFile::new("image/png", b"picture".as_slice());
    let copies = [file.clone(), file.shared(), file.shared()];
    let [one, two, three] = copies.clone().map(|copy| story.picture(vec![copy]));
    let (client, account) = (&story.client, story.account());
    assert_eq!(
        client.delete_message(account, &one).await,
        Ok(Deletion::Deleted)
    );
    assert!(story.twilio.keeps_upload(&file.upload));
    let media = &copies[1].sid;
    assert_eq!(
        client.delete_message_media(account, &two, media).await,
        Ok(Deletion::Deleted)
    );
    assert_eq!(
        client.delete_message_media(account, &two, media).await,
        Ok(Deletion::Gone)
    );
    assert!(story.twilio.keeps_upload(&file.upload));
    assert_eq!(story.file(&three, &copies[2]).await.unwrap(), b"picture");
    assert_eq!(
        client.delete_message(account, &three).await,
        Ok(Deletion::Deleted)
    );
    assert!(!story.twilio.keeps_upload(&file.upload));
}

#[tokio::test]
async fn where_texts_are_redacted_the_webhook_is_the_only_copy() {
    let story = Story::begin().await;
    let sid = story.text("secret");
    story.twilio.behave(|behaviour| {
        behaviour.message_texts_are_redacted = true;
        behaviour.message_numbers_are_redacted = true;
    });
    let read = story.client.message(story.account(), &sid).await.unwrap();
    assert_eq!(read.body, Some("".into()));
    assert_eq!(read.from.unwrap().expose(), "+49302312XXXX");
    let callback = story
        .twilio
        .message_callback(&sid, "https://vault.example/m");
    let message = IncomingMessage::parse(&story.verified("/m", &callback)).unwrap();
    assert_eq!(message.body, "secret");
}

#[tokio::test]
async fn only_an_empty_text_is_taken() {
    let asking = super::asking::Asking::begin().await;
    let facts = MessageFacts::inbound(FROM, TO, "hello");
    let sid = asking.twilio.add_message(&asking.account, facts);
    let path = format!("Messages/{sid}.json");
    for (form, status) in [
        (vec![("Body", "other")], 400),
        (vec![("Body", ""), ("Status", "canceled")], 400),
        (vec![("Status", "canceled")], 409),
        (vec![("Body", "")], 200),
    ] {
        let answer = asking.send("POST", &path, &form).await;
        assert_eq!(answer.status().as_u16(), status, "{form:?}");
    }
}
