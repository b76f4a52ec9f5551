//! The steps about Twilio: a lost callback, the participants, the transcript, and the deletion of
//! all copies there.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Failure, Story};
use crate::model::id::RecordingId;

/// The number of these steps.
pub(super) const STEPS: usize = 4;

/// The caller; a number that the numbering authority reserves for fiction.
const CALLER: &str = "+4930230125001";
/// The callee.
const CALLEE: &str = "client:agent-8";
/// The spoken sentence.
const SAID: &str = "I would like to change my order.";

impl Story<'_> {
    /// Runs the steps, on a recording of its own.
    pub(super) async fn source(&mut self) -> Result<(), Failure> {
        let world = self.world;
        let (sid, id) = world.record_call(CALLER, CALLEE)?;
        let begun = Instant::now();
        let announced = world.compare_with_twilio().await?;
        world.until(id, "sealed").await?;
        let told = "A callback was lost: Twilio's list is compared with the vault, and the \
                    recording is fetched and sealed like any other.";
        self.step("lost-callback-found", begun, announced == 1, told)?;

        let begun = Instant::now();
        world.transcribe(&sid, SAID).await?;
        let grant = self.grant_with_transcript(id).await?;
        let transcript = self.read(&grant["transcript_url"]).await?;
        let said = transcript["sentences"][0]["text"] == SAID
            && transcript["sentences"][0]["leg"] == "caller";
        let told = "Twilio announces a transcript: it is fetched, sealed beside the audio, and \
                    read under a grant, with its speakers.";
        self.step("transcript-filed", begun, said, told)?;

        let begun = Instant::now();
        let parties = self.read(&grant["parties_url"]).await?;
        let addresses: Vec<&str> = parties["parties"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|party| party["address"].as_str())
            .collect();
        let known = addresses.contains(&CALLER) && addresses.contains(&CALLEE);
        let told = "The participants were looked up at Twilio, are sealed with the recording, and \
                    are shown only under a grant.";
        self.step("parties-known", begun, known, told)?;

        let begun = Instant::now();
        let before = world.stand_in().kept(&sid).content();
        world
            .ask(
                Method::DELETE,
                &format!("/v1/recordings/{id}"),
                Some(json!({ "reason": "subject-request" })),
            )
            .await?;
        let deleted = self.deleted_at_source(id).await?;
        let nothing_left = before && deleted && !world.stand_in().kept(&sid).content();
        let told = "It is shredded: Twilio's recording and transcript are deleted as well, Twilio \
                    confirms it, and the data that stays there is listed with its end.";
        self.step("nothing-left-at-twilio", begun, nothing_left, told)
    }

    /// Returns a grant, when there is a transcript.
    async fn grant_with_transcript(&self, id: RecordingId) -> Result<Value, Failure> {
        let path = format!("/v1/recordings/{id}/grants");
        for _ in 0..600 {
            let (_, grant) = self
                .world
                .ask(
                    Method::POST,
                    &path,
                    Some(json!({ "purpose": "quality-review" })),
                )
                .await?;
            if grant["transcript_url"].is_string() {
                return Ok(grant);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("no transcript was filed in time".into())
    }

    pub(super) async fn read(&self, url: &Value) -> Result<Value, Failure> {
        let url = url.as_str().ok_or("the grant has no such address")?;
        Ok(self.world.http().get(url).send().await?.json().await?)
    }

    /// Waits until the vault reports that no copy is left at the source.
    async fn deleted_at_source(&self, id: RecordingId) -> Result<bool, Failure> {
        for _ in 0..600 {
            let (_, recording) = self
                .world
                .ask(Method::GET, &format!("/v1/recordings/{id}"), None)
                .await?;
            if recording["at_source"]["state"] == "deleted" {
                let copies = recording["at_source"]["copies"]
                    .as_array()
                    .map_or(&[][..], Vec::as_slice);
                return Ok(
                    copies.len() == 2 && copies.iter().all(|copy| copy["state"] == "confirmed")
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }
}
