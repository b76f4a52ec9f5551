//! The steps about a message: it is sealed with its picture, read, and gone with its sender.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Failure, Story};
use crate::{
    demo::stand_in::{MessageFacts, MessageFile, RemainingMessage},
    model::{id::RecordingId, sid::MessageSid},
};

/// The number of these steps.
pub(super) const STEPS: usize = 3;

/// The sender; a number that the numbering authority reserves for fiction.
const SENDER: &str = "+4930230125002";
/// The account's own line.
const LINE: &str = "+4930230125999";
/// The text.
const TEXT: &str = "This is what arrived. The box was open.";
/// The picture's bytes; nothing reads them as a picture here.
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 a picture of a box";

impl Story<'_> {
    /// Runs the steps, on a message of its own.
    pub(super) async fn messages(&mut self) -> Result<(), Failure> {
        let world = self.world;
        let begun = Instant::now();
        let facts = MessageFacts {
            media: vec![MessageFile::new("image/jpeg", PICTURE)],
            ..MessageFacts::inbound(SENDER, LINE, TEXT)
        };
        let (sid, id, status) = world.text(facts).await?;
        let (_, found) = self.shown(id).await?;
        let told = "A text with a picture arrives: it is sealed and in the database before Twilio \
                    is answered.";
        let sealed = status == 200 && found["state"] == "sealed";
        self.step("message-sealed", begun, sealed, told)?;

        let begun = Instant::now();
        let same = self.reads_message(id).await?;
        let told = "Under a grant its text is read, and the picture is the one that was sent, \
                    byte for byte.";
        self.step("message-read", begun, same, told)?;

        let begun = Instant::now();
        let revoked = json!({ "subject": SENDER, "reason": "subject-request" });
        let (status, _) = world
            .ask(Method::POST, "/v1/revocations", Some(revoked))
            .await?;
        let (_, found) = self.shown(id).await?;
        let is_gone = self.is_gone_at_twilio(&sid).await;
        let told = "The sender withdraws: the message and its picture are shredded, and deleted \
                    at Twilio.";
        let shredded = status == 200 && found["state"] == "shredded" && is_gone;
        self.step("message-shredded", begun, shredded, told)
    }

    async fn shown(&self, id: RecordingId) -> Result<(u16, Value), Failure> {
        let path = format!("/v1/recordings/{id}");
        self.world.ask(Method::GET, &path, None).await
    }

    /// Reads text and picture under a grant, once the picture was fetched.
    async fn reads_message(&self, id: RecordingId) -> Result<bool, Failure> {
        let world = self.world;
        let path = format!("/v1/recordings/{id}/grants");
        for _ in 0..500 {
            let asked = json!({ "purpose": "quality-review" });
            let (_, grant) = world.ask(Method::POST, &path, Some(asked)).await?;
            let Some(file) = grant["file_urls"][0].as_str() else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let picture = world.http().get(file).send().await?.bytes().await?;
            let text = self.read(&grant["transcript_url"]).await?;
            return Ok(picture == PICTURE && text["sentences"][0]["text"] == TEXT);
        }
        Ok(false)
    }

    async fn is_gone_at_twilio(&self, sid: &MessageSid) -> bool {
        for _ in 0..500 {
            let left = self.world.stand_in().remaining_message(sid);
            if left == RemainingMessage::default() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}
