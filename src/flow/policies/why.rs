//! Explanation of a decision for the operator: the same decision as for a grant, with all reasons.
//!
//! Owns the explanation. Nothing is opened and no grant is made, so nothing is recorded.

use super::Policies;
use crate::{
    db::{recordings, tokens},
    flow::{
        asking::{Asking, Circumstances},
        error::Error,
    },
    model::{
        id::{PrincipalId, RecordingId, TokenId},
        media::MediaKind,
        name::Purpose,
        time::Timestamp,
    },
    policy::{Decision, decide, way_out},
};

/// A decision with all its reasons.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Why {
    /// The recording.
    pub recording_id: RecordingId,
    /// Its kind.
    pub kind: MediaKind,
    /// The principal.
    pub principal: PrincipalId,
    /// The principal's token.
    pub token: TokenId,
    /// The purpose.
    pub purpose: Purpose,
    /// Whether access is allowed.
    pub allowed: bool,
    /// The view of the recording, if allowed.
    pub view: Option<&'static str>,
    /// The clause that permits it, if allowed.
    pub clause: Option<String>,
    /// When a grant would end, if allowed.
    pub until: Option<Timestamp>,
    /// The version by which it was decided.
    pub policy_version: String,
    /// The SHA-256 of its file.
    pub policy_digest: String,
    /// The version to which the recording is pinned.
    pub pinned_version: String,
    /// All reasons for a denial.
    pub reasons: Vec<WhyReason>,
}

/// One reason for a denial.
#[derive(Clone, Debug, serde::Serialize)]
pub struct WhyReason {
    /// The code.
    pub code: &'static str,
    /// The text.
    pub text: &'static str,
    /// The clause: a key of the policy file, or a rule that no file can change.
    pub clause: String,
    /// The version of the policy with the clause.
    pub version: String,
    /// The remedy.
    pub way_out: String,
}

impl Policies {
    /// Decides as for a grant, and returns the decision with its clauses and the remedies.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the recording does not exist or the token is not valid; any database
    /// error.
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
            kind: recording.kind(),
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
