//! Legal holds: a held recording is not shredded for any reason until the last hold is lifted.

use std::sync::Arc;

use super::revocation::Revocations;
use crate::{
    db::{
        self, Db,
        holds::{self, HoldFilter, HoldRow},
        outbox::OutboxKind,
        recordings,
    },
    evidence::{NewEntry, ShredReason},
    flow::{
        error::Error,
        page::{self, Page},
        refusal::{shred_of, shredded},
    },
    model::{
        hold::Authority,
        id::{ReceiptId, RecordingId},
        name::{HoldName, Purpose},
        recording::{Recording, RecordingState},
        time::{Clock, Timestamp},
    },
    policy::{Permit, Rulebook, action},
    vault::Vault,
};

/// A hold to be placed.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// Its name; unique per recording.
    pub name: HoldName,
    /// The purpose of the policy that stays open under the hold when all others are closed.
    pub purpose: Purpose,
    /// The reason, as a code.
    pub reason: ShredReason,
    /// The authority that demands it.
    pub authority: Authority,
    /// When its need must be reviewed.
    pub review_at: Timestamp,
}

/// The result of lifting a hold.
#[derive(Clone, Debug)]
pub struct Lifted {
    /// The hold.
    pub hold: HoldRow,
    /// Whether this call lifted it; false if it was lifted before.
    pub is_new: bool,
    /// The number of holds that remain in force.
    pub left: i64,
    /// Whether the recording is, or with `--dry-run` would be, shredded because it was revoked and
    /// no hold is left.
    pub shreds: bool,
    /// The receipt of the shred.
    pub receipt: Option<ReceiptId>,
}

/// A hold, and when its recording was revoked.
pub type ListedHold = (HoldRow, Option<Timestamp>);

/// A position in the list of holds.
pub type HoldPlace = (Timestamp, RecordingId, HoldName);

/// Places, lifts and lists holds.
pub struct LegalHolds {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    revocations: Arc<Revocations>,
}

impl LegalHolds {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            revocations,
        }
    }

    /// Places a hold, or changes the terms of the hold with this name. Repeating it changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover;
    /// [`Error::Shredded`]; [`Error::Invalid`] for a purpose for which the policy allows no holds,
    /// or a review date in the past.
    pub async fn place(
        &self,
        permit: &Permit<action::Hold>,
        id: RecordingId,
        new: &NewHold,
    ) -> Result<HoldRow, Error> {
        let recording = self.holdable(permit, id).await?;
        if recording.state == RecordingState::Shredded {
            return Err(shredded(&self.db, id).await?);
        }
        let held_for = &self.rulebook.current().document().hold_purposes;
        if !held_for.contains(&new.purpose) {
            let known: Vec<&str> = held_for.iter().map(Purpose::as_str).collect();
            return Err(Error::Invalid(format!(
                "`purpose`: the policy places no holds for `{}`; use one of its `hold_purposes`: `{}`",
                new.purpose,
                known.join("`, `")
            )));
        }
        let now = self.clock.now();
        let hold = HoldRow {
            recording: id,
            name: new.name.clone(),
            purpose: new.purpose.clone(),
            reason: new.reason.clone(),
            authority: new.authority.clone(),
            review_at: new.review_at,
            placed_at: now,
            placed_by: permit.actor(),
            lifted_at: None,
        };
        let placed = self.db.unit("hold.place_hold", async |mut unit| {
            if holds::place(&mut unit, &hold).await? {
                if hold.review_at <= now {
                    return Err(Error::Invalid(
                        "`review_at` has passed; give a later date for the review".into(),
                    ));
                }
                unit.to_journal(OutboxKind::Recording, &[id], now);
                let name = &hold.name;
                let purpose = &hold.purpose;
                let reason = &hold.reason;
                let placed = NewEntry::hold_placed(
                    now,
                    permit.initiator(),
                    id,
                    name,
                    purpose,
                    reason,
                    hold.review_at,
                );
                unit.audit(placed);
            }
            Ok(())
        });
        match placed.await {
            Err(Error::Vault(crate::vault::Error::Db(db::Error::Stale(_)))) => {
                return Err(shredded(&self.db, id).await?);
            }
            placed => placed?,
        }
        // A caller can rely on the hold even if the database is lost afterwards.
        self.vault.make_durable().await?;
        holds::find(&mut self.db.read().await?, id, &new.name)
            .await?
            .ok_or(Error::NotFound)
    }

    /// Lifts a hold. If it was the last one and the recording was revoked meanwhile, the recording
    /// is shredded immediately, in the vault's own name and for the reason of the revocation.
    /// Repeating it is harmless. With `dry_run` it only returns what would be done.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such hold, or the permit does not cover its recording.
    pub async fn lift(
        &self,
        permit: &Permit<action::Hold>,
        id: RecordingId,
        name: &HoldName,
        dry_run: bool,
    ) -> Result<Lifted, Error> {
        let recording = self.holdable(permit, id).await?;
        let hold = holds::find(&mut self.db.read().await?, id, name)
            .await?
            .ok_or(Error::NotFound)?;
        let stands = hold.lifted_at.is_none();
        let now = self.clock.now();
        if dry_run || !stands {
            let left = recording.holds - i64::from(stands);
            let shreds = left == 0 && recording.revoked_at.is_some();
            let shredded = recording.state == RecordingState::Shredded;
            if !dry_run {
                self.vault.make_durable().await?;
            }
            let receipt = if shredded {
                self.receipt_of(id).await?
            } else {
                None
            };
            return Ok(Lifted {
                hold,
                is_new: stands && !dry_run,
                left,
                shreds: shreds && (dry_run || shredded),
                receipt,
            });
        }
        let lifted = self.db.unit("hold.lift_hold", async |mut unit| {
            let left = holds::lift(&mut unit, id, name, now).await?;
            if let Some(left) = left {
                unit.to_journal(OutboxKind::Recording, &[id], now);
                unit.audit(NewEntry::hold_lifted(
                    now,
                    permit.initiator(),
                    id,
                    name,
                    left,
                ));
            }
            Ok::<_, Error>(left)
        });
        let lifted = lifted.await?;
        // The service also shreds released recordings, in case this is interrupted.
        if lifted == Some(0) {
            self.revocations.shred_released().await?;
        }
        self.vault.make_durable().await?;
        let mut tx = self.db.read().await?;
        let hold = holds::find(&mut tx, id, name)
            .await?
            .ok_or(Error::NotFound)?;
        let left = recordings::find(&mut tx, id)
            .await?
            .map_or(0, |recording| recording.holds);
        let receipt = shred_of(&mut tx, id).await?.map(|(_, receipt)| receipt);
        Ok(Lifted {
            hold,
            is_new: lifted.is_some(),
            left,
            shreds: receipt.is_some(),
            receipt,
        })
    }

    /// Returns the holds in force on recordings of the accounts that the permit covers, those with
    /// the earliest review first, each with the time at which its recording was revoked. `limit` is
    /// 1 to 1000.
    ///
    /// # Errors
    /// Any database error.
    pub async fn list(
        &self,
        permit: &Permit<action::Hold>,
        mut filter: HoldFilter,
        limit: u16,
    ) -> Result<Page<ListedHold, HoldPlace>, Error> {
        filter.accounts = permit.accounts().clone();
        let mut tx = self.db.read().await?;
        let rows = holds::list(&mut tx, &filter, page::rows(limit)).await?;
        Ok(Page::cut(rows, limit, |(last, _)| {
            (last.review_at, last.recording, last.name.clone())
        }))
    }

    async fn holdable(
        &self,
        permit: &Permit<action::Hold>,
        id: RecordingId,
    ) -> Result<Recording, Error> {
        let found = recordings::find(&mut self.db.read().await?, id).await?;
        found
            .filter(|recording| permit.covers(recording.account()))
            .ok_or(Error::NotFound)
    }

    async fn receipt_of(&self, id: RecordingId) -> Result<Option<ReceiptId>, Error> {
        Ok(shred_of(&mut self.db.read().await?, id)
            .await?
            .map(|(_, receipt)| receipt))
    }
}
