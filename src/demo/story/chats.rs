//! The steps about a chat of three: an edit, and one of them withdraws.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{Failure, Story};
use crate::{
    demo::stand_in::{ChatMessageFacts, ChatParticipantFacts},
    model::{
        id::RecordingId,
        sid::{ChatMessageSid, ChatParticipantSid, ChatSid},
    },
};

/// The number of these steps.
pub(super) const STEPS: usize = 2;

/// Who takes part by SMS; a number that the numbering authority reserves for fiction.
const CUSTOMER: &str = "+4930230125003";
/// The account's own line.
const LINE: &str = "+4930230125999";
/// Who takes part in the application.
const AGENTS: [&str; 2] = ["noor", "sam"];
/// The edited text.
const EDITED: &str = "It stands at the back door, behind the bin.";

impl Story<'_> {
    /// Runs the steps, on a chat of its own.
    pub(super) async fn chats(&mut self) -> Result<(), Failure> {
        let world = self.world;
        let begun = Instant::now();
        let chat = world.begin_chat()?;
        let customer = ChatParticipantFacts::sms(CUSTOMER, LINE);
        let customer = self.joins(&chat, customer).await?;
        let [noor, _] = AGENTS;
        let mut agents = Vec::new();
        for agent in AGENTS {
            let facts = ChatParticipantFacts::identity(agent);
            agents.push(self.joins(&chat, facts).await?);
        }
        let (edited, theirs) = self
            .writes(&chat, CUSTOMER, &customer, "It stands at the door.")
            .await?;
        let answer = "Thank you. I pass it on.";
        let (_, other) = self
            .writes(&chat, noor, agents.first().unwrap_or(&customer), answer)
            .await?;
        let twilio = world.stand_in();
        twilio.advance(Duration::from_secs(1));
        twilio.edit_chat_message(&chat, &edited, EDITED);
        let event = "onMessageUpdated";
        world
            .tell_of_chat(|url| twilio.chat_message_callback(&chat, &edited, event, url))
            .await?;
        let asked = json!({ "purpose": "quality-review" });
        let path = format!("/v1/recordings/{theirs}/grants");
        let (_, grant) = world.ask(Method::POST, &path, Some(asked)).await?;
        let text = self.read(&grant["transcript_url"]).await?;
        let states = grant["states"].as_array().map_or(0, Vec::len);
        let told = "A chat of three: each message is sealed before Twilio is answered, an edited \
                    one in both of its states, and its text is the latest.";
        let kept = states == 2 && text["sentences"][0]["text"] == EDITED;
        self.step("chat-kept", begun, kept, told)?;

        let begun = Instant::now();
        let revoked = json!({ "subject": CUSTOMER, "reason": "subject-request" });
        let (status, _) = world
            .ask(Method::POST, "/v1/revocations", Some(revoked))
            .await?;
        let is_gone = self.is_gone_from(&chat, &edited).await;
        let states = [self.life(theirs).await?, self.life(other).await?];
        let told = "One of them withdraws: what they wrote is shredded in every state, and deleted \
                    at Twilio. The others' messages and the chat stay.";
        let shredded = status == 200 && is_gone && states == ["shredded", "sealed"];
        self.step("chat-withdrawn", begun, shredded, told)
    }

    async fn joins(
        &self,
        chat: &ChatSid,
        facts: ChatParticipantFacts,
    ) -> Result<ChatParticipantSid, Failure> {
        let twilio = self.world.stand_in();
        let sid = twilio.add_chat_participant(chat, facts);
        let event = "onParticipantAdded";
        self.world
            .tell_of_chat(|url| twilio.chat_participant_callback(chat, &sid, event, url))
            .await?;
        Ok(sid)
    }

    async fn writes(
        &self,
        chat: &ChatSid,
        author: &str,
        by: &ChatParticipantSid,
        text: &str,
    ) -> Result<(ChatMessageSid, RecordingId), Failure> {
        let twilio = self.world.stand_in();
        let mut facts = ChatMessageFacts::new(author, text);
        facts.participant = Some(by.clone());
        let sid = twilio.add_chat_message(chat, facts);
        let event = "onMessageAdded";
        self.world
            .tell_of_chat(|url| twilio.chat_message_callback(chat, &sid, event, url))
            .await?;
        let id = self.world.id_of_chat_message(&sid)?;
        Ok((sid, id))
    }

    async fn life(&self, id: RecordingId) -> Result<String, Failure> {
        let path = format!("/v1/recordings/{id}");
        let (_, found) = self.world.ask(Method::GET, &path, None).await?;
        Ok(found["state"].as_str().unwrap_or_default().to_owned())
    }

    async fn is_gone_from(&self, chat: &ChatSid, sid: &ChatMessageSid) -> bool {
        for _ in 0..500 {
            let left = self.world.stand_in().remaining_chat(chat);
            if left.is_some_and(|left| left.len() == 1 && !left.contains(sid)) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}
