//! Retention: a report of what is kept and why, and the sweep that shreds recordings after their
//! retention.
//!
//! Owns pace and report. Refuses to decide what is due; `policy::retention` decides that for each
//! recording, again, after the database found it. A held recording is not changed and listed as a
//! conflict: the first sweep after the hold is lifted shreds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::shredding::Shredding;
use crate::{
    db::{
        Db,
        retention::{self, HoldGroup, RetentionGroup},
    },
    evidence::ShredReason,
    flow::{clock::TrustedClock, erasure::shredding::units::Undurable, error::Error},
    model::{
        id::RecordingId,
        media::MediaKind,
        name::{HoldName, Tier},
        recording::Recording,
        sid::AccountSid,
        time::Timestamp,
    },
    policy::{
        Permit, Rulebook, action,
        retention::{Limit, due_by, limits},
    },
    vault::{Cause, OnHold},
};

/// Recordings shredded by one call: enough that recordings on the same leaf page are shredded
/// together.
const BATCH: i64 = 1000;
/// The most conflicts that are listed: an operator with a thousand conflicts has no use for more.
const CONFLICTS: i64 = 1000;

/// The result of a sweep, or of its dry run.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RetentionSweep {
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// Recordings that were shredded, or would be.
    pub shredded: u64,
    /// The same, by group.
    pub groups: Vec<SweptGroup>,
    /// Recordings that are due but held.
    pub conflicts: Vec<Conflict>,
}

/// Recordings of one tier and policy version that were due.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SweptGroup {
    /// The tier.
    pub tier: Tier,
    /// The SHA-256 of the policy file to which they are pinned.
    pub policy_digest: String,
    /// The clause by which they are due.
    pub clause: String,
    /// The number of recordings.
    pub recordings: u64,
    /// Which, in a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub due: Vec<RecordingId>,
}

/// A recording that should be shredded, and the holds that keep it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Conflict {
    /// The recording.
    pub recording_id: RecordingId,
    /// When it became due.
    pub since: Timestamp,
    /// The reason.
    #[schema(max_length = 400)]
    pub why: String,
    /// The names of the holds; null if the caller may not list holds.
    pub holds: Option<Vec<HoldName>>,
}

/// The report of what is kept and why.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct RetentionReport {
    /// The time of the report.
    pub at: Timestamp,
    /// All recordings that are not shredded, by tier and version.
    pub groups: Vec<KeptGroup>,
    /// The number of recordings in quarantine, which cannot be opened.
    #[schema(minimum = 0)]
    pub quarantined: i64,
    /// When the first of these quarantines ends, upon which the recording is shredded unless
    /// evidence of consent arrives.
    pub quarantine_ends: Option<Timestamp>,
    /// The number of recordings with a hold.
    #[schema(minimum = 0)]
    pub held: i64,
    /// The number of held recordings that were revoked, and are shredded when the hold ends.
    #[schema(minimum = 0)]
    pub revoked_but_held: i64,
    /// The holds by name; null if the caller may not list holds.
    pub holds: Option<Vec<HoldGroup>>,
    /// Held recordings that should be shredded; a thousand at most.
    #[schema(max_items = 1000)]
    pub conflicts: Vec<Conflict>,
}

/// Recordings of one tier and policy version that are kept.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct KeptGroup {
    /// The tier.
    pub tier: Tier,
    /// The version to which they are pinned; `None` if it is not known here.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$", examples("2026-1"))]
    pub policy_version: Option<String>,
    /// The SHA-256 of its file.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub policy_digest: String,
    /// The number of recordings.
    #[schema(minimum = 0)]
    pub recordings: i64,
    /// The same, by kind; kinds without any are left out.
    pub kinds: BTreeMap<MediaKind, i64>,
    /// When the oldest was collected.
    pub oldest_collected_at: Timestamp,
    /// When the oldest is due; `None` if no limit applies.
    pub next_due_at: Option<Timestamp>,
    /// The clause with the limit.
    #[schema(max_length = 200, examples("tiers/standard/keep"))]
    pub clause: Option<String>,
}

/// Shreds recordings after their retention.
pub struct RetentionEnforcement {
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Arc<TrustedClock>,
    shredding: Arc<Shredding>,
}

impl RetentionEnforcement {
    pub(in crate::flow) fn new(
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Arc<TrustedClock>,
        shredding: Arc<Shredding>,
    ) -> Self {
        Self {
            db,
            rulebook,
            clock,
            shredding,
        }
    }

    /// Shreds all recordings whose retention has ended, in batches, except held ones. Recordings
    /// that were shredded before an interruption stay shredded.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not trusted; errors of the database or the vault.
    pub async fn sweep(&self, dry_run: bool) -> Result<RetentionSweep, Error> {
        let now = if dry_run {
            self.clock.now()
        } else {
            self.clock.believed().await?.at()
        };
        let everybody = BTreeSet::new();
        let mut swept = RetentionSweep {
            dry_run,
            ..RetentionSweep::default()
        };
        let groups = retention::groups(&mut self.db.read().await?, &everybody).await?;
        let mut all = Vec::new();
        for group in &groups {
            let Some((until, limit)) = self.reach(group, now) else {
                continue;
            };
            all.push((
                group,
                limit,
                self.shred_due(group, until, now, dry_run).await?,
            ));
        }
        // All groups are shredded before the first is reported: an unavailable store must not delay
        // a shred.
        for (group, limit, (due, shredded)) in all {
            let recordings = if dry_run {
                due.len() as u64
            } else {
                let told = self.shredding.tell(shredded).await?;
                let new = told.shredded.iter().filter(|shredded| shredded.is_new);
                new.count() as u64
            };
            if recordings > 0 {
                let tier = group.tier.clone();
                let policy_digest = group.policy_digest.clone();
                tracing::info!(
                    %tier, recordings, dry_run, clause = %limit,
                    "recordings whose retention has ended"
                );
                swept.groups.push(SweptGroup {
                    tier,
                    policy_digest,
                    clause: limit.to_string(),
                    recordings,
                    due,
                });
            }
            swept.shredded += recordings;
        }
        swept.conflicts = self.conflicts(&groups, &everybody, now, true).await?;
        Ok(swept)
    }

    /// Reports what is kept and why, for the accounts that the permit covers.
    ///
    /// # Errors
    /// Any database error.
    pub async fn report(
        &self,
        permit: &Permit<action::Catalogue>,
    ) -> Result<RetentionReport, Error> {
        let now = self.clock.now();
        let accounts = permit.accounts();
        let mut tx = self.db.read().await?;
        let groups = retention::groups(&mut tx, accounts).await?;
        let kept = retention::kept(&mut tx, accounts).await?;
        let shows_holds = permit.also(action::Hold).is_some();
        let holds = match shows_holds {
            true => Some(retention::holds(&mut tx, accounts).await?),
            false => None,
        };
        drop(tx);
        let conflicts = self.conflicts(&groups, accounts, now, shows_holds).await?;
        Ok(RetentionReport {
            at: now,
            groups: groups.iter().map(|group| self.kept_group(group)).collect(),
            quarantined: kept.quarantined,
            quarantine_ends: kept.quarantine_ends,
            held: kept.held,
            revoked_but_held: kept.revoked,
            holds,
            conflicts,
        })
    }

    fn kept_group(&self, group: &RetentionGroup) -> KeptGroup {
        let ends = limits(&group.tier, &group.policy_digest, &self.rulebook)
            .into_iter()
            .map(|limit| (limit.end(group.oldest), limit));
        let first = ends.min_by_key(|(end, _)| *end);
        KeptGroup {
            tier: group.tier.clone(),
            policy_version: self
                .rulebook
                .find(&group.policy_digest)
                .map(|rules| rules.version().to_owned()),
            policy_digest: group.policy_digest.clone(),
            recordings: group.count,
            kinds: group.kinds.clone(),
            oldest_collected_at: group.oldest,
            next_due_at: first.as_ref().map(|(end, _)| *end),
            clause: first.map(|(_, limit)| limit.to_string()),
        }
    }

    /// Returns the latest collection time of the group's recordings that are due now; `None` if
    /// none is due.
    fn reach(&self, group: &RetentionGroup, now: Timestamp) -> Option<(Timestamp, Limit)> {
        let limits = limits(&group.tier, &group.policy_digest, &self.rulebook).into_iter();
        let reach = limits
            .filter_map(|limit| Some((limit.due_until(now)?, limit)))
            .max_by_key(|(until, _)| *until);
        reach.filter(|(until, _)| group.oldest <= *until)
    }

    /// In a dry run those that are due; otherwise what was let go of.
    async fn shred_due(
        &self,
        group: &RetentionGroup,
        until: Timestamp,
        now: Timestamp,
        dry_run: bool,
    ) -> Result<(Vec<RecordingId>, Undurable), Error> {
        let reason: ShredReason = "retention"
            .parse()
            .map_err(|error| Error::Invalid(format!("{error}")))?;
        let permit = Permit::of_vault(action::Shred);
        let mut after = None;
        let mut named = Vec::new();
        let mut all = Undurable::nothing();
        loop {
            let found = retention::collected_until(
                &mut self.db.read().await?,
                group,
                until,
                false,
                after,
                BATCH,
            )
            .await?;
            let Some(last) = found.last() else {
                return Ok((named, all));
            };
            after = Some((last.collected_at, last.id));
            let due: Vec<Recording> = found
                .into_iter()
                .filter(|recording| self.is_due(recording, now))
                .collect();
            if dry_run {
                named.extend(due.iter().map(|recording| recording.id));
                continue;
            }
            if due.is_empty() {
                continue;
            }
            // A hold that was placed since then keeps its recording; the next sweep leaves it out.
            let cause = Cause::permitted(&permit, &reason);
            let done = self
                .shredding
                .shred_in_units(&due, cause, OnHold::Keep, &|_| {});
            all = all.and(done.await);
        }
    }

    fn is_due(&self, recording: &Recording, now: Timestamp) -> bool {
        due_by(recording, &self.rulebook).is_some_and(|(due, _)| due <= now)
    }

    /// Returns held recordings that are due or were revoked, with the names of the holds if they
    /// may be shown.
    async fn conflicts(
        &self,
        groups: &[RetentionGroup],
        accounts: &BTreeSet<AccountSid>,
        now: Timestamp,
        shows_holds: bool,
    ) -> Result<Vec<Conflict>, Error> {
        let mut tx = self.db.read().await?;
        let revoked = retention::revoked(&mut tx, accounts, CONFLICTS).await?;
        let mut found: Vec<(RecordingId, Timestamp, String)> = Vec::new();
        found.extend(revoked.iter().filter_map(|recording| {
            Some((recording.id, recording.revoked_at?, "revoked".to_owned()))
        }));
        for group in groups {
            let Some((until, _)) = self.reach(group, now) else {
                continue;
            };
            let held =
                retention::collected_until(&mut tx, group, until, true, None, CONFLICTS).await?;
            let held = held
                .iter()
                .filter(|recording| accounts.is_empty() || accounts.contains(recording.account()));
            let due = held
                .filter(|recording| recording.revoked_at.is_none())
                .filter_map(|recording| {
                    let (due, limit) = due_by(recording, &self.rulebook)?;
                    (due <= now).then(|| (recording.id, due, limit.to_string()))
                });
            found.extend(due);
        }
        found.truncate(usize::try_from(CONFLICTS).unwrap_or(usize::MAX));
        let ids: Vec<RecordingId> = found.iter().map(|(id, ..)| *id).collect();
        let mut names = retention::hold_names(&mut tx, &ids).await?;
        let conflict = |(recording_id, since, why)| Conflict {
            recording_id,
            since,
            why,
            holds: shows_holds.then(|| names.remove(&recording_id).unwrap_or_default()),
        };
        Ok(found.into_iter().map(conflict).collect())
    }
}
