//! Approval by a second person. An approval is valid for one principal, one recording and one
//! purpose, and for a limited time.

use std::{collections::BTreeMap, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    db::{
        self, Db,
        approvals::{self, ApprovalFilter, ApprovalRow, ApprovalState},
        endings::StreamEnding,
        grants,
        outbox::OutboxKind,
        recordings,
    },
    evidence::NewEntry,
    flow::{
        asking::{Asking, Circumstances},
        error::Error,
        page::{self, Page},
        refusal::{refuse, refuse_request, shredded},
        streams::Streams,
        units::note,
    },
    model::{
        access::Principal,
        id::{ApprovalId, RecordingId},
        name::Tier,
        recording::RecordingState,
        time::{Clock, Timestamp},
    },
    policy::{self, Decision, DecisionFacts, Denial, Reason, Rulebook, decide},
    vault::Vault,
};

/// A request as shown to an approver.
pub struct PendingApproval {
    /// The stored row.
    pub row: ApprovalRow,
    /// The recording's tier.
    pub tier: Tier,
    /// The justification in the requester's own words; `None` if the recording was shredded
    /// meanwhile.
    pub justification: Option<Zeroizing<String>>,
}

/// Returns all requests at a stage, or at any, without their justifications, for the operator.
/// Undecided requests are left out after their expiry.
///
/// # Errors
/// Any database error.
pub async fn list(
    db: &Db,
    stage: Option<ApprovalState>,
    now: Timestamp,
) -> Result<Vec<(ApprovalRow, Tier)>, Error> {
    let filter = ApprovalFilter {
        stage,
        living_at: living_at(stage, now),
        ..ApprovalFilter::default()
    };
    Ok(approvals::list(&mut db.read().await?, &filter, i64::from(i32::MAX)).await?)
}

/// Handles requests for approval and their decisions.
pub struct Approvals {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    streams: Streams,
}

impl Approvals {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        streams: Streams,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            streams,
        }
    }

    /// Requests the approval of a second person for an access that only lacks it. Returns an
    /// existing undecided request instead, and whether this one is new.
    ///
    /// As [`Playback::grant`](crate::flow::playback::Playback::grant) if the access is denied for
    /// other reasons; [`Error::Conflict`] if no approval is needed; [`Error::Invalid`] without a
    /// justification.
    pub async fn ask(
        &self,
        principal: &Principal,
        id: RecordingId,
        asking: &Asking<'_>,
    ) -> Result<(ApprovalRow, bool), Error> {
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let recording = recordings::find(&mut tx, id)
            .await?
            .ok_or(Error::NotFound)?;
        let circumstances =
            Circumstances::gather(&mut tx, principal, &recording, &asking.purpose, now).await?;
        drop(tx);
        // A request for approval does not bypass it.
        let facts = DecisionFacts {
            break_glass: false,
            ..circumstances.asked(principal, &recording, asking)
        };
        match decide(&facts, &self.rulebook, now) {
            Decision::Deny(denial) if is_only_unapproved(&denial) => {}
            Decision::Deny(denial) => {
                return Err(refuse(&self.db, self.clock.now(), &facts, None, denial).await?);
            }
            Decision::Allow(_) => {
                return Err(Error::Conflict(
                    "no approval is needed for this now: request a grant".into(),
                ));
            }
        }
        let justification = asking.justification.filter(|_| facts.is_justified());
        let justification = justification.ok_or_else(|| {
            Error::Invalid(
                "`justification`: give the reason, for the person who approves it".into(),
            )
        })?;
        let lifetime = policy::approval_lifetime(&recording, &self.rulebook).unwrap_or_default();
        let request = ApprovalRow {
            id: ApprovalId::random(&mut rand::rng()),
            recording: id,
            requested_by: principal.id,
            purpose: asking.purpose.clone(),
            justification: Vec::new(),
            stage: ApprovalState::Requested,
            requested_at: now,
            expires_at: now.after(lifetime),
            decided_at: None,
            decided_by: None,
        };
        let vault = &self.vault;
        let by = principal.initiator();
        let filed = vault.unit("approval.file_approval", async |mut unit| {
            // Serialises requests for a recording across processes: of two concurrent identical
            // requests, the second finds the first.
            recordings::lock_sealed(&mut unit, request.recording).await?;
            let whose = (request.recording, principal.id);
            let waiting =
                approvals::find_waiting(&mut unit, whose.0, whose.1, &request.purpose, now).await?;
            if let Some(waiting) = waiting {
                unit.without_entry("it was asked for before");
                return Ok((waiting, false));
            }
            let sealed = vault
                .seal_justification(&mut unit, request.recording, request.id, justification)
                .await?;
            let row = ApprovalRow {
                justification: sealed,
                ..request.clone()
            };
            approvals::insert(&mut unit, &row).await?;
            unit.to_journal(OutboxKind::Recording, &[row.recording], row.requested_at);
            unit.audit(NewEntry::approval_requested(
                row.requested_at,
                by,
                row.recording,
                row.id,
                &row.purpose,
                row.expires_at,
            ));
            Ok::<_, Error>((row, true))
        });
        filed.await
    }

    /// Returns requests that this principal may decide, with their justifications, and records that
    /// they were shown. `limit` is 1 to 1000.
    ///
    /// # Errors
    /// [`Error::Denied`] or [`Error::NotFound`] if none of their roles may approve.
    pub async fn list(
        &self,
        principal: &Principal,
        stage: Option<ApprovalState>,
        after: Option<(Timestamp, ApprovalId)>,
        limit: u16,
    ) -> Result<Page<PendingApproval, (Timestamp, ApprovalId)>, Error> {
        let now = self.clock.now();
        let tiers = match policy::approvable(principal, &self.rulebook, now) {
            Ok(tiers) => tiers,
            Err(denial) => {
                return Err(refuse_request(
                    &self.db,
                    self.clock.now(),
                    principal,
                    "approve",
                    denial,
                )
                .await?);
            }
        };
        let living_at = living_at(stage, now);
        let accounts = principal.accounts.clone();
        let filter = ApprovalFilter {
            stage,
            living_at,
            accounts,
            tiers: Some(tiers),
            after,
        };
        let mut tx = self.db.read().await?;
        let found = approvals::list(&mut tx, &filter, page::rows(limit)).await?;
        let found = Page::cut(found, limit, |(last, _)| (last.requested_at, last.id));
        let Page {
            items: mut found,
            next,
        } = found;
        // The version to which a recording is pinned may require other approvers.
        let ids: Vec<RecordingId> = found.iter().map(|(row, _)| row.recording).collect();
        let theirs = recordings::find_all(&mut tx, &ids).await?.into_iter();
        let theirs: BTreeMap<RecordingId, bool> = theirs
            .map(|recording| {
                (
                    recording.id,
                    policy::may_approve(principal, &recording, &self.rulebook, now).is_ok(),
                )
            })
            .collect();
        drop(tx);
        found.retain(|(row, _)| theirs.get(&row.recording) == Some(&true));
        let (rows, tiers): (Vec<ApprovalRow>, Vec<Tier>) = found.into_iter().unzip();
        let mut opened = self.justifications(principal, &rows).await?;
        let items = rows.into_iter().zip(tiers);
        let items = items
            .map(|(row, tier)| PendingApproval {
                justification: opened.remove(&row.id),
                row,
                tier,
            })
            .collect();
        Ok(Page { items, next })
    }

    /// Returns the justifications of requests, after recording that they were shown to this reader.
    async fn justifications(
        &self,
        reader: &Principal,
        rows: &[ApprovalRow],
    ) -> Result<BTreeMap<ApprovalId, Zeroizing<String>>, Error> {
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let vault = &self.vault;
        let unit = vault.unit("approval.justifications", async |mut unit| {
            let reader = reader.initiator();
            Ok::<_, Error>(vault.justifications(&mut unit, reader, rows).await?)
        });
        unit.await
    }

    /// Decides another principal's request, or withdraws an approval, which ends every grant that
    /// depends on it. Repeating the same decision changes nothing.
    ///
    /// # Errors
    /// [`Error::OwnRequest`]; [`Error::Denied`] if none of their roles may approve it;
    /// [`Error::Conflict`] for a request that has expired or was refused.
    pub async fn decide(
        &self,
        principal: &Principal,
        id: ApprovalId,
        approve: bool,
    ) -> Result<ApprovalRow, Error> {
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let row = approvals::find(&mut tx, id).await?.ok_or(Error::NotFound)?;
        let recording = recordings::find(&mut tx, row.recording)
            .await?
            .ok_or(Error::NotFound)?;
        drop(tx);
        if let Err(denial) = policy::may_approve(principal, &recording, &self.rulebook, now) {
            note(&self.db, || {
                NewEntry::approval_denied(
                    now,
                    principal.initiator(),
                    row.recording,
                    id,
                    Some(&denial),
                )
            })
            .await?;
            return Err(if denial.is_hidden() {
                Error::NotFound
            } else {
                Error::Denied(denial)
            });
        }
        if row.requested_by == principal.id {
            note(&self.db, || {
                NewEntry::approval_denied(now, principal.initiator(), row.recording, id, None)
            })
            .await?;
            return Err(Error::OwnRequest);
        }
        if recording.state == RecordingState::Shredded {
            return Err(shredded(&self.db, recording.id).await?);
        }
        let to = match (row.stage, approve) {
            (ApprovalState::Refused, false) => return Ok(row),
            (ApprovalState::Refused, true) => {
                return Err(Error::Conflict(
                    "the request was refused; the requester may make a new one".into(),
                ));
            }
            _ if row.expires_at <= now => {
                return Err(Error::Conflict(
                    "the request has expired; the requester may make a new one".into(),
                ));
            }
            (ApprovalState::Approved, true) => return Ok(row),
            (ApprovalState::Requested, true) => ApprovalState::Approved,
            (ApprovalState::Requested | ApprovalState::Approved, false) => ApprovalState::Refused,
        };
        let lifetime = policy::approval_lifetime(&recording, &self.rulebook).unwrap_or_default();
        let expires_at = if approve {
            now.after(lifetime)
        } else {
            row.expires_at
        };
        let decided = ApprovalRow {
            stage: to,
            expires_at,
            decided_at: Some(now),
            decided_by: Some(principal.id),
            ..row.clone()
        };
        let taken_back = (row.stage, to) == (ApprovalState::Approved, ApprovalState::Refused);
        let ended = self
            .db
            .unit("approval.decide_approval", async |mut unit| {
                approvals::decide(
                    &mut unit,
                    id,
                    (row.stage, to),
                    principal.id,
                    expires_at,
                    now,
                )
                .await?;
                unit.to_journal(OutboxKind::Recording, &[row.recording], now);
                let which = (id, row.requested_by);
                unit.audit(NewEntry::approval_decided(
                    now,
                    principal.initiator(),
                    row.recording,
                    which,
                    approve,
                    expires_at,
                ));
                let ended = if taken_back {
                    grants::end_resting_on(&mut unit, id, now).await?
                } else {
                    Vec::new()
                };
                let by = principal.initiator();
                unit.audit_all(ended.iter().map(|grant| {
                    NewEntry::grant_ended(now, by, &row.recording.into(), *grant, Some(id))
                }));
                Ok(ended)
            })
            .await;
        let ended = match ended {
            Ok(ended) => ended,
            Err(db::Error::Stale(_)) => return self.decided_meanwhile(id, to).await,
            Err(other) => return Err(other.into()),
        };
        for grant in ended {
            self.streams.end(StreamEnding::Grant(grant));
        }
        Ok(decided)
    }

    /// Answers a decision that came second: the same one has been made already, as in a request
    /// that is repeated; another one stands.
    async fn decided_meanwhile(
        &self,
        id: ApprovalId,
        to: ApprovalState,
    ) -> Result<ApprovalRow, Error> {
        let mut tx = self.db.read().await?;
        let row = approvals::find(&mut tx, id).await?.ok_or(Error::NotFound)?;
        if row.stage == to {
            return Ok(row);
        }
        Err(Error::Conflict(
            "another decision was made at the same moment; read the request again".into(),
        ))
    }
}

/// Returns the time filter of a list: undecided requests matter only before they expire.
fn living_at(stage: Option<ApprovalState>, now: Timestamp) -> Option<Timestamp> {
    (stage == Some(ApprovalState::Requested)).then_some(now)
}

fn is_only_unapproved(denial: &Denial) -> bool {
    denial
        .refusals()
        .iter()
        .all(|refusal| refusal.reason == Reason::ApprovalMissing)
}
