//! Backfill: a whole existing account, day by day, oldest first, so that what was recorded before
//! the vault came is sealed too.
//!
//! Owns the days, and where a listing that was interrupted goes on. What a recording needs is
//! `reconcile`'s to say. Refuses to fetch: what it makes known is fetched as everything else, by
//! the service.
//!
//! INVARIANT: a day counts as listed only when everything in it was made durable; a day that was
//! listed is not listed again by the same listing.

use std::{sync::Arc, time::Duration};

use super::{
    ReconcileFailure, Reconciliation, chosen,
    compare::{Comparison, WouldReconcile},
    list::{ListWindow, Lister},
};
use crate::{
    db::{
        self, Db,
        listings::{self, ListingRow},
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    flow::{error::Error, twilio_access::TwilioAccess},
    model::{
        crash,
        sid::AccountSid,
        time::{Clock, Timestamp},
    },
    twilio::Account,
};

/// How often is looked whether enough was fetched.
const HELD_FOR: Duration = Duration::from_secs(1);
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What to list.
#[derive(Clone, Debug)]
pub struct Backfilling {
    /// Only this account.
    pub account: Option<AccountSid>,
    /// What Twilio made since then.
    pub since: Timestamp,
    /// What it made before then; `None`: before now.
    pub until: Option<Timestamp>,
    /// Only count.
    pub dry_run: bool,
    /// Whether to begin from the start where a listing since the same time was interrupted, or came
    /// to its end.
    pub restart: bool,
    /// Whether to wait before each day until at most so many recordings wait to be fetched: what
    /// callbacks tell of stands behind them in the queue.
    pub hold_back: Option<u64>,
}

/// A backfill, before it begins.
#[derive(Clone, Debug)]
pub struct BackfillPlan {
    listings: Vec<ListingRow>,
    dry_run: bool,
    hold_back: Option<u64>,
}

impl BackfillPlan {
    /// Days to list, of all accounts together.
    pub fn days(&self) -> u64 {
        self.listings
            .iter()
            .map(|row| days(row.done_until, row.until).count() as u64)
            .sum()
    }
}

/// What came of the backfill of one account.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountBackfilled {
    /// The account.
    pub account: AccountSid,
    /// Listed is what Twilio made since then...
    pub since: Timestamp,
    /// ...and before then, in the end.
    pub until: Timestamp,
    /// This time the listing went on from here.
    pub went_on_at: Timestamp,
    /// Everything before then is listed.
    pub done_until: Timestamp,
    /// Recordings that Twilio listed this time.
    pub listed: u64,
    /// Of them, those that the vault did not know.
    pub announced: u64,
    /// Of them, those of which the vault knew less, or whose work was missing or dead.
    pub advanced: u64,
    /// Seconds of sound that are to be fetched because of it, as far as Twilio says so.
    pub seconds: u64,
    /// Bytes of it: 16,000 for each second of each channel.
    pub bytes: u64,
    /// What would be done, in a dry run.
    #[serde(skip_serializing_if = "WouldReconcile::is_empty")]
    pub would: WouldReconcile,
    /// Why it did not come to its end.
    pub fault: Option<String>,
}

/// Lists whole accounts.
pub struct Backfills {
    db: Db,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    reconciliation: Arc<Reconciliation>,
}

impl Backfills {
    pub(in crate::flow) fn new(
        db: Db,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        reconciliation: Arc<Reconciliation>,
    ) -> Self {
        Self {
            db,
            clock,
            twilio,
            reconciliation,
        }
    }

    /// Looks where each listing begins, or goes on.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an account that is not configured or a time that makes no sense.
    pub async fn plan(&self, wanted: &Backfilling) -> Result<BackfillPlan, Error> {
        let accounts = self.twilio.accounts();
        let now = self.clock.now();
        let until = wanted.until.map_or(now, |until| until.min(now));
        if wanted.since >= until {
            return Err(Error::Invalid(format!(
                "the time from {} until {until} is empty; give a later end",
                wanted.since
            )));
        }
        let since = whole_second(wanted.since);
        let until = whole_second(until.after(Duration::from_millis(999)));
        let mut listings = Vec::new();
        for account in chosen(&accounts, wanted.account.as_ref())? {
            let fresh = ListingRow {
                account: account.sid().clone(),
                since,
                until,
                done_until: since,
                listed: 0,
                announced: 0,
                updated_at: now,
            };
            let former = listings::find(&mut self.db.read().await?, account.sid()).await?;
            let former =
                former.filter(|row| row.since == since && !wanted.restart && !wanted.dry_run);
            listings.push(match former {
                Some(row) => ListingRow {
                    until: until.max(row.done_until),
                    ..row
                },
                None => fresh,
            });
        }
        Ok(BackfillPlan {
            listings,
            dry_run: wanted.dry_run,
            hold_back: wanted.hold_back,
        })
    }

    /// Lists, one account after another; `say` is told of each day that is done. The fault of one
    /// account stops no other.
    ///
    /// # Errors
    /// None for an account's fault: it is told with the account.
    pub async fn run(
        &self,
        plan: &BackfillPlan,
        say: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<AccountBackfilled>, Error> {
        let accounts = self.twilio.accounts();
        let mut all = Vec::new();
        for row in &plan.listings {
            let Some(account) = accounts.get(&row.account) else {
                continue;
            };
            let mut comparison =
                Comparison::of(&self.reconciliation, account, true).dry(plan.dry_run);
            let mut present = row.clone();
            let outcome = self
                .list_days(&mut comparison, &mut present, plan.hold_back, say)
                .await;
            let found = &comparison.found;
            all.push(AccountBackfilled {
                account: row.account.clone(),
                since: row.since,
                until: row.until,
                went_on_at: row.done_until,
                done_until: present.done_until,
                listed: found.counts.listed,
                announced: found.counts.announced,
                advanced: found.counts.advanced,
                seconds: found.seconds,
                bytes: found.bytes,
                would: found.would.clone(),
                fault: outcome.err().map(|broken| broken.to_string()),
            });
        }
        Ok(all)
    }

    async fn list_days(
        &self,
        comparison: &mut Comparison<'_>,
        row: &mut ListingRow,
        hold_back: Option<u64>,
        say: &(dyn Fn(usize) + Sync),
    ) -> Result<(), ReconcileFailure> {
        let account: &Account = comparison.account;
        for (since, until) in days(row.done_until, row.until) {
            if let Some(most) = hold_back.filter(|_| !comparison.is_dry()) {
                self.wait_for_fetches(most).await?;
            }
            let before = comparison.found.counts;
            let mut list = Lister::of(
                &self.twilio.client,
                account,
                ListWindow {
                    since,
                    until: Some(until),
                    with_deleted: false,
                },
            );
            while let Some(page) = list.next().await? {
                comparison.page(&page).await?;
            }
            let added = |now: u64, before: u64| {
                i64::try_from(now.saturating_sub(before)).unwrap_or(i64::MAX)
            };
            row.listed = row
                .listed
                .saturating_add(added(comparison.found.counts.listed, before.listed));
            row.announced = row
                .announced
                .saturating_add(added(comparison.found.counts.announced, before.announced));
            row.done_until = until;
            if !comparison.is_dry() {
                self.note_listed(row).await?;
                crash::point("backfill.day_done");
            }
            say(1);
        }
        Ok(())
    }

    /// Returns when at most so many recordings wait to be fetched. Dead work waits for somebody
    /// else.
    async fn wait_for_fetches(&self, most: u64) -> Result<(), Error> {
        loop {
            let backlog = work::backlog(&mut self.db.read().await?).await?;
            let waiting = backlog
                .iter()
                .find(|work| work.kind == WorkKind::FetchMedia.as_str() && work.state == "due")
                .map_or(0, |work| work.count);
            if u64::try_from(waiting).unwrap_or(0) <= most {
                return Ok(());
            }
            tokio::time::sleep(HELD_FOR).await;
        }
    }

    /// A day is listed; with the last one, so is the account.
    async fn note_listed(&self, row: &ListingRow) -> Result<(), Error> {
        let now = self.clock.now();
        let row = ListingRow {
            updated_at: now,
            ..row.clone()
        };
        let noted = self.db.unit("backfill.note_listed", async |mut unit| {
            listings::put(&mut unit, &row).await?;
            if row.done_until >= row.until {
                unit.audit(NewEntry::backfill_done(
                    now,
                    &row.account,
                    row.since,
                    row.until,
                    row.listed,
                    row.announced,
                ));
            } else {
                unit.without_entry("how far the listing came");
            }
            Ok::<_, db::Error>(())
        });
        Ok(noted.await?)
    }
}

/// The days between two times, oldest first, cut at midnight UTC.
fn days(since: Timestamp, until: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
    let mut from = since;
    std::iter::from_fn(move || {
        if from >= until {
            return None;
        }
        let midnight = Timestamp::from_millis(
            (from.as_millis().div_euclid(DAY_MS) + 1).saturating_mul(DAY_MS),
        );
        let day = (from, midnight.min(until));
        from = day.1;
        Some(day)
    })
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(1000).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_cut_at_midnight_and_leave_nothing_out() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let told = |since, until| {
            days(at(since), at(until))
                .map(|(from, to)| format!("{from}/{to}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            told("2026-01-30T22:30:00Z", "2026-02-01T00:00:01Z"),
            [
                "2026-01-30T22:30:00.000Z/2026-01-31T00:00:00.000Z",
                "2026-01-31T00:00:00.000Z/2026-02-01T00:00:00.000Z",
                "2026-02-01T00:00:00.000Z/2026-02-01T00:00:01.000Z"
            ]
        );
        assert_eq!(
            told("2026-01-30T00:00:00Z", "2026-01-31T00:00:00Z").len(),
            1
        );
        assert_eq!(
            told("2026-01-30T00:00:00Z", "2026-01-30T00:00:00Z").len(),
            0
        );
    }
}
