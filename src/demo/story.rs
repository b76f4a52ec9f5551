//! The steps of the demo. Each step is checked; the output claims only checked results.

mod chats;
mod messages;
mod people;
mod source;
mod video;

use std::{
    error::Error,
    io::{self, Write as _},
    time::Instant,
};

use aws_lc_rs::digest;
use reqwest::Method;
use serde_json::{Value, json};

use super::{conversation, world::World};
use crate::{
    evidence::{DrillReport, KeySet, Receipt},
    model::id::RecordingId,
};

type Failure = Box<dyn Error + Send + Sync>;

/// A running demo.
pub(super) struct Story<'w> {
    world: &'w World,
    aloud: bool,
    steps: Vec<Step>,
    facts: serde_json::Map<String, Value>,
}

struct Step {
    name: &'static str,
    ok: bool,
    ms: u128,
}

impl<'w> Story<'w> {
    pub(super) fn new(world: &'w World, aloud: bool) -> Self {
        Self {
            world,
            aloud,
            steps: Vec::new(),
            facts: serde_json::Map::new(),
        }
    }

    /// Runs the steps; the first one that fails is the last.
    pub(super) async fn tell(&mut self) {
        self.say(&format!(
            "A vault in {}, a stand-in for Twilio at {}.\n",
            self.world.folder().display(),
            self.world.stand_in().base_url()
        ));
        if let Err(error) = self.chapters().await {
            self.say(&format!("\nThe demo failed: {error}\n"));
        }
    }

    pub(super) fn all_held(&self) -> bool {
        self.steps.len() == STEPS && self.steps.iter().all(|step| step.ok)
    }

    /// Returns the result as one JSON object.
    pub(super) fn summary(&self) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| json!({ "name": step.name, "ok": step.ok, "ms": step.ms }))
            .collect();
        let mut summary = self.facts.clone();
        summary.insert("steps".into(), Value::Array(steps));
        summary.insert("ok".into(), self.all_held().into());
        Value::Object(summary)
    }

    async fn chapters(&mut self) -> Result<(), Failure> {
        let world = self.world;
        let (sid, id) = world.record()?;
        self.fact("recording_id", json!(id));
        self.fact("source_sha256", json!(sha256(conversation::WAV)));

        let begun = Instant::now();
        let url = format!("{}/twilio/recordings", world.base_url());
        let forged = world.forge(&sid, &url).await?;
        self.step(
            "forged-callback-refused",
            begun,
            forged == 403,
            "A callback without Twilio's signature is answered 403.",
        )?;

        let begun = Instant::now();
        let status = world.announce(&sid).await?;
        self.step(
            "callback-accepted",
            begun,
            status == 204,
            "The signed callback is answered 204, after it is on disk.",
        )?;

        let begun = Instant::now();
        world.until(id, "sealed").await?;
        self.step(
            "recording-sealed",
            begun,
            true,
            "The recording was fetched, sealed and stored; only then was its key inserted.",
        )?;

        let grants = format!("/v1/recordings/{id}/grants");
        let begun = Instant::now();
        let (status, denied) = world
            .ask(
                Method::POST,
                &grants,
                Some(json!({ "purpose": "curiosity" })),
            )
            .await?;
        let reasons: Vec<Value> = denied["reasons"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|reason| reason["code"].clone())
            .collect();
        let is_denied = status == 403 && !reasons.is_empty();
        self.fact("denied_reasons", json!(reasons));
        self.step(
            "wrong-purpose-denied",
            begun,
            is_denied,
            "Curiosity is not a purpose of the privacy policy: 403, with the reasons.",
        )?;

        let begun = Instant::now();
        let (status, grant) = world
            .ask(
                Method::POST,
                &grants,
                Some(json!({ "purpose": "quality-review" })),
            )
            .await?;
        let audio = grant["audio_url"].as_str().unwrap_or_default().to_owned();
        self.step(
            "purpose-granted",
            begun,
            status == 201 && !audio.is_empty(),
            "Quality review is a purpose: a grant, with a URL for playback.",
        )?;

        let begun = Instant::now();
        let played = world.http().get(&audio).send().await?.bytes().await?;
        self.fact("played_sha256", json!(sha256(&played)));
        self.step(
            "played",
            begun,
            played == conversation::WAV,
            "The played audio equals the recorded audio, byte for byte.",
        )?;

        let begun = Instant::now();
        let checked = self.ranges(&audio).await?;
        self.fact("range_checked", json!(checked));
        self.step(
            "ranges-checked",
            begun,
            checked,
            "Seeking works: first, middle, last and suffix ranges agree, and 416 beyond the end.",
        )?;

        self.people().await?;
        self.source().await?;
        self.messages().await?;
        self.chats().await?;
        self.video().await?;
        self.shred_and_verify(id, &audio, &grants).await
    }

    async fn shred_and_verify(
        &mut self,
        id: RecordingId,
        audio: &str,
        grants: &str,
    ) -> Result<(), Failure> {
        let world = self.world;
        // Another living recording, and copies of everything, as if somebody had forgotten to
        // delete them.
        world.another_recording().await?;
        let old = world.keep_old_copies().await?;
        let begun = Instant::now();
        let (status, shredded) = world
            .ask(
                Method::DELETE,
                &format!("/v1/recordings/{id}"),
                Some(json!({ "reason": "subject-request" })),
            )
            .await?;
        let receipt = shredded["receipt_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.fact("receipt_id", json!(receipt));
        self.step(
            "shredded",
            begun,
            status == 200 && !receipt.is_empty(),
            "The customer withdraws: tombstone, destruction of the key, audit entry and receipt in \
             one transaction.",
        )?;

        let begun = Instant::now();
        let old_grant = world.http().get(audio).send().await?.status().as_u16();
        let (new_grant, _) = world
            .ask(
                Method::POST,
                grants,
                Some(json!({ "purpose": "quality-review" })),
            )
            .await?;
        self.fact("after_shred_status", json!(old_grant));
        let is_gone = (old_grant, new_grant) == (410, 410);
        self.step(
            "nothing-opens",
            begun,
            is_gone,
            "The old grant and a new one are answered 410 Gone, with the receipt's id.",
        )?;

        let begun = Instant::now();
        let turned = world.turn().await?;
        let told = "The epoch turns: new keys for pages of destroyed keys, a verified snapshot, \
                    and only then is the old root key destroyed.";
        self.step("epoch-turned", begun, turned, told)?;

        let begun = Instant::now();
        let closed = self.closed_receipt(&receipt).await?;
        self.fact("receipt_verified", json!(closed));
        let told = "The ciphertext is removed too, and the receipt, unrecoverable and closed, \
                    verifies with the published key alone.";
        self.step("receipt-verified", begun, closed, told)?;

        let begun = Instant::now();
        let (status, log) = world.ask(Method::GET, "/v1/audit?limit=1000", None).await?;
        let events: Vec<&str> = log["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["event"].as_str())
            .collect();
        let wanted = [
            "recording.sealed",
            "decision.denied",
            "decision.allowed",
            "opening.started",
            "shred.tombstoned",
            "shred.bytes-removed",
            "epoch.turned",
            "root.destroyed",
        ];
        let complete = status == 200 && wanted.iter().all(|event| events.contains(event));
        self.step(
            "audit-complete",
            begun,
            complete,
            "The audit log has every decision, every opening, the shred and the turn.",
        )?;

        let begun = Instant::now();
        let held = world.drill(old).await?;
        let drill = DrillReport::verify(&held.evidence, &self.keys().await?)?;
        let forgetting = &drill.forgetting;
        let recovery = &drill.recovery;
        let bites = forgetting.shredded > 0 && forgetting.living > 0 && recovery.sampled > 0;
        self.fact("drill", json!({ "forgets": drill.forgets(), "recovers": drill.recovers(), "evidence": held.evidence }));
        let told = format!(
            "A drill with copies from before the shred: of {} shredded recordings {} open; the store and custody rebuild the rest in {} ms.",
            forgetting.shredded, forgetting.shredded_reached, recovery.recovery_time_ms
        );
        self.step("drill-held", begun, held.holds() && bites, &told)
    }

    /// Returns the published key set.
    async fn keys(&self) -> Result<KeySet, Failure> {
        Ok(self
            .world
            .http()
            .get(format!("{}/.well-known/jwks.json", self.world.base_url()))
            .send()
            .await?
            .text()
            .await?
            .parse()?)
    }

    /// Waits until the receipt is closed, and verifies it with the published key set alone.
    async fn closed_receipt(&self, receipt: &str) -> Result<bool, Failure> {
        let world = self.world;
        let base = self.world.base_url();
        let keys = self.keys().await?;
        for _ in 0..600 {
            let jws = world
                .http()
                .get(format!("{base}/v1/receipts/{receipt}"))
                .send()
                .await?
                .text()
                .await?;
            let verified = Receipt::verify(&jws, &keys)?;
            if verified.state() == crate::evidence::ReceiptState::Closed {
                return Ok(verified.id().to_string() == receipt);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(false)
    }

    async fn ranges(&self, audio: &str) -> Result<bool, Failure> {
        let wav = conversation::WAV;
        let len = conversation::WAV.len();
        let cases = [
            ("bytes=0-0".to_owned(), 0..1),
            (
                format!("bytes={}-{}", len / 2, len / 2 + 999),
                len / 2..len / 2 + 1000,
            ),
            (format!("bytes={}-", len - 1), len - 1..len),
            ("bytes=-44".to_owned(), len - 44..len),
        ];
        for (range, expected) in cases {
            let response = self
                .world
                .http()
                .get(audio)
                .header("Range", &range)
                .send()
                .await?;
            let is_partial = response.status() == 206;
            if !is_partial || response.bytes().await? != wav[expected] {
                return Ok(false);
            }
        }
        let beyond = self
            .world
            .http()
            .get(audio)
            .header("Range", format!("bytes={len}-"))
            .send()
            .await?;
        Ok(beyond.status() == 416)
    }

    fn fact(&mut self, name: &str, value: Value) {
        self.facts.insert(name.to_owned(), value);
    }

    fn step(
        &mut self,
        name: &'static str,
        begun: Instant,
        ok: bool,
        told: &str,
    ) -> Result<(), Failure> {
        let ms = begun.elapsed().as_millis();
        self.steps.push(Step { name, ok, ms });
        let mark = if ok { "ok    " } else { "FAILED" };
        self.say(&format!(
            "{:>2}. {mark} {told} ({ms} ms)\n",
            self.steps.len()
        ));
        if ok {
            Ok(())
        } else {
            Err(format!("step `{name}` failed").into())
        }
    }

    fn say(&self, text: &str) {
        if self.aloud {
            // If standard error is closed, only this output is lost.
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }
}

/// The number of all steps.
const STEPS: usize =
    13 + people::STEPS + source::STEPS + messages::STEPS + chats::STEPS + video::STEPS;

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
