//! Why somebody may, or may not, listen: the same decision as for a grant, told whole and to the
//! operator.
//!
//! Owns the telling. Nothing is opened and no grant is made, so nothing is written down.

use super::Policies;
use crate::{
    db::{recordings, tokens},
    flow::{
        asking::{Asking, Circumstances},
        error::Error,
    },
    model::{
        id::{PrincipalId, RecordingId, TokenId},
        name::Purpose,
        time::Timestamp,
    },
    policy::{Decision, decide, way_out},
};

/// A decision with everything that led to it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Why {
    /// What somebody wants to hear.
    pub recording_id: RecordingId,
    /// Who.
    pub principal: PrincipalId,
    /// By which of their credentials.
    pub token: TokenId,
    /// Why.
    pub purpose: Purpose,
    /// Whether they may.
    pub allowed: bool,
    /// What of the recording they would get, if they may.
    pub view: Option<&'static str>,
    /// The clause that permits it, if they may.
    pub clause: Option<String>,
    /// Until when a grant would last, if they may.
    pub until: Option<Timestamp>,
    /// The version by which it was decided.
    pub policy_version: String,
    /// SHA-256 of its file.
    pub policy_digest: String,
    /// The version to which the recording is pinned.
    pub pinned_version: String,
    /// Everything that speaks against it.
    pub reasons: Vec<WhyReason>,
}

/// One reason against it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct WhyReason {
    /// Its code.
    pub code: &'static str,
    /// In words.
    pub text: &'static str,
    /// The clause that gives it: a key of the policy file, or a rule that no file can change.
    pub clause: String,
    /// The version of the policy that it is in.
    pub version: String,
    /// What would have to change.
    pub way_out: String,
}

impl Policies {
    /// Decides as for a grant, and tells what was decided by which clause and what would change it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such recording or no such living token; the database's.
    pub async fn why_not(
        &self,
        id: RecordingId,
        token: TokenId,
        asking: &Asking<'_>,
    ) -> Result<Why, Error> {
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let missing = || {
            Error::Invalid(format!(
                "recording `{id}` does not exist; `GET /v1/recordings` lists the ids"
            ))
        };
        let recording = recordings::find(&mut tx, id).await?.ok_or_else(missing)?;
        let missing = || {
            Error::Invalid(format!(
                "token `{token}` does not exist or is revoked; `recvault token list` lists the \
                 tokens"
            ))
        };
        let principal = tokens::living(&mut tx, token, now)
            .await?
            .ok_or_else(missing)?;
        let circumstances =
            Circumstances::gather(&mut tx, &principal, &recording, &asking.purpose, now).await?;
        drop(tx);
        let facts = circumstances.asked(&principal, &recording, asking);
        let rules = self.rulebook.current();
        let decision = decide(&facts, &self.rulebook, now);
        let (grant, denial) = match &decision {
            Decision::Allow(grant) => (Some(grant), None),
            Decision::Deny(denial) => (None, Some(denial)),
        };
        let reasons = denial
            .into_iter()
            .flat_map(|denial| denial.refusals())
            .map(|refusal| WhyReason {
                code: refusal.reason.code(),
                text: refusal.reason.text(),
                clause: refusal.clause.to_string(),
                version: refusal
                    .pinned
                    .as_deref()
                    .unwrap_or(rules.version())
                    .to_owned(),
                way_out: way_out(refusal, &facts, &self.rulebook),
            });
        Ok(Why {
            recording_id: id,
            principal: principal.id,
            token,
            allowed: grant.is_some(),
            view: grant.map(|grant| grant.view().as_str()),
            clause: grant.map(|grant| grant.clause().to_owned()),
            until: grant.map(|grant| grant.expires_at()),
            policy_version: rules.version().to_owned(),
            policy_digest: rules.digest().to_owned(),
            pinned_version: recording.policy_version.clone(),
            reasons: reasons.collect(),
            purpose: facts.purpose.clone(),
        })
    }
}
