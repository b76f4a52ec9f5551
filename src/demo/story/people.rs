//! The steps about people: consent, a hold, and a revocation.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Failure, Story};
use crate::{evidence::RevocationReceipt, model::id::RecordingId};

/// The number of these steps.
pub(super) const STEPS: usize = 5;

/// The customer; a number that the numbering authority reserves for fiction.
const CUSTOMER: &str = "+4930230125000";
/// The callee.
const AGENT: &str = "client:agent-7";

impl Story<'_> {
    /// Runs the steps, on a recording of its own.
    pub(super) async fn people(&mut self) -> Result<(), Failure> {
        let world = self.world;
        let id = world.another_recording().await?;
        let begun = Instant::now();
        self.name_parties(id).await?;
        let training = json!({ "purpose": "training", "justification": "a good example" });
        let refused = self.asked(id, &training).await?;
        let told = "Training requires consent, and no party has given it: refused, with the clause \
                    of the policy.";
        self.step(
            "consent-missing-refused",
            begun,
            refused.0 == 403 && names(&refused.1, "consent-missing"),
            told,
        )?;

        let begun = Instant::now();
        for (who, method) in [(CUSTOMER, "keypad"), (AGENT, "contract")] {
            let said = json!({ "subject": who, "purposes": ["training"], "answer": "given", "method": method, "evidence": "demo" });
            let (status, _) = world.ask(Method::POST, "/v1/consents", Some(said)).await?;
            if status != 201 {
                return Err(format!("the statement got the status {status}").into());
            }
        }
        let (status, grant) = self.asked(id, &training).await?;
        let told =
            "Both parties consent: a grant, for the first five minutes only, as the policy sets.";
        self.step(
            "consent-given",
            begun,
            status == 201 && grant["window"]["to_s"] == 300,
            told,
        )?;

        let begun = Instant::now();
        let hold = format!("/v1/recordings/{id}/holds/court");
        let placed = json!({ "purpose": "legal-request", "reason": "litigation", "authority": "Regional Court, 12 O 34/26", "review_at": "2099-01-01T00:00:00Z" });
        let (placed, _) = world.ask(Method::PUT, &hold, Some(placed)).await?;
        let (status, _) = world
            .ask(
                Method::DELETE,
                &format!("/v1/recordings/{id}"),
                Some(json!({ "reason": "tidying" })),
            )
            .await?;
        self.step(
            "held",
            begun,
            (200..300).contains(&placed) && status == 409,
            "A court requires the recording: under a hold a shred is refused, 409.",
        )?;

        let begun = Instant::now();
        let revoked = json!({ "subject": CUSTOMER, "reason": "subject-request" });
        let (status, revocation) = world
            .ask(Method::POST, "/v1/revocations", Some(revoked))
            .await?;
        let review = self
            .asked(id, &json!({ "purpose": "quality-review" }))
            .await?;
        let court = self
            .asked(
                id,
                &json!({ "purpose": "legal-request", "justification": "12 O 34/26" }),
            )
            .await?;
        let is_closed = status == 200 && names(&review.1, "recording-revoked") && court.0 == 201;
        let told = "The customer revokes all consent: the recording is closed except for the \
                    court, until the hold ends.";
        self.step("revoked-under-hold", begun, is_closed, told)?;

        let begun = Instant::now();
        let (status, lifted) = world.ask(Method::DELETE, &hold, None).await?;
        let is_shredded = status == 200 && lifted["receipt_id"].is_string();
        let whole = self
            .receipt_of_the_whole(revocation["id"].as_str().unwrap_or_default())
            .await?;
        let told = "The hold ends: the recording is shredded immediately, and the signed receipt \
                    of the revocation lists no held recording.";
        self.step("shredded-after-hold", begun, is_shredded && whole, told)
    }

    async fn name_parties(&self, id: RecordingId) -> Result<(), Failure> {
        let (_, recording) = self
            .world
            .ask(Method::GET, &format!("/v1/recordings/{id}"), None)
            .await?;
        let call = recording["call_sid"]
            .as_str()
            .ok_or("the recording names no call")?;
        let parties = json!({ "parties": [{ "leg": "caller", "number": CUSTOMER }, { "leg": "callee", "number": AGENT }] });
        match self
            .world
            .ask(
                Method::POST,
                &format!("/v1/calls/{call}/parties"),
                Some(parties),
            )
            .await?
        {
            (200 | 201, _) => Ok(()),
            (status, _) => Err(format!("the naming of the parties got the status {status}").into()),
        }
    }

    async fn asked(&self, id: RecordingId, request: &Value) -> Result<(u16, Value), Failure> {
        self.world
            .ask(
                Method::POST,
                &format!("/v1/recordings/{id}/grants"),
                Some(request.clone()),
            )
            .await
    }

    /// Waits until the receipt for the whole revocation lists no held recording, and verifies it
    /// with the published keys alone.
    async fn receipt_of_the_whole(&self, revocation: &str) -> Result<bool, Failure> {
        let keys = self.keys().await?;
        for _ in 0..600 {
            let (_, status) = self
                .world
                .ask(Method::GET, &format!("/v1/revocations/{revocation}"), None)
                .await?;
            if let Some(jws) = status["receipt"].as_str() {
                let receipt = RevocationReceipt::verify(jws, &keys)?;
                if receipt.held == 0 {
                    return Ok(receipt.shredded > 0);
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(false)
    }
}

/// Whether a refusal has this reason.
fn names(refused: &Value, code: &str) -> bool {
    refused["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|reason| reason["code"] == code && reason["clause"].is_string())
}
