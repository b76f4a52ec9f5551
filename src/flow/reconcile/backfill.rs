//! Backfill: an existing account is listed completely, day by day, oldest first, so that recordings,
//! messages, tracks and compositions from before the vault are sealed, too.
//!
//! Owns the days, and where an interrupted listing resumes. `reconcile` decides what a recording
//! needs. Refuses to fetch: the service fetches announced recordings like all others.
//!
//! INVARIANT: a day counts as listed only when everything in it is durable; a listed day is not
//! listed again by the same listing.

use std::{sync::Arc, time::Duration};

use super::{
    ReconcileFailure, Reconciliation, chosen,
    compare::{Comparison, WouldReconcile},
    list::{ListWindow, Lister},
    messages::CALLBACK_COMES_WITHIN,
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
        media::MediaKind,
        sid::AccountSid,
        time::{Clock, Timestamp},
    },
    twilio::rest::RecordingResource,
};

/// The interval at which the number of pending fetches is checked.
const HELD_FOR: Duration = Duration::from_secs(1);
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Twilio shows no older messages.
const MESSAGES_SHOWN: Duration = Duration::from_secs(400 * 24 * 3600);

/// The parameters of a backfill.
#[derive(Clone, Debug)]
pub struct Backfilling {
    /// Only this account.
    pub account: Option<AccountSid>,
    /// Recordings made since then.
    pub since: Timestamp,
    /// Recordings made before then; `None` means before now.
    pub until: Option<Timestamp>,
    /// Only count.
    pub dry_run: bool,
    /// Whether to start over if a listing since the same time was interrupted or completed.
    pub restart: bool,
    /// Whether to wait before each day until at most this many recordings wait to be fetched:
    /// recordings of new callbacks are behind them in the queue.
    pub hold_back: Option<u64>,
}

/// A backfill before it begins.
#[derive(Clone, Debug)]
pub struct BackfillPlan {
    listings: Vec<ListingRow>,
    dry_run: bool,
    hold_back: Option<u64>,
}

impl BackfillPlan {
    /// Returns the number of days to list, of all accounts together.
    pub fn days(&self) -> u64 {
        self.listings
            .iter()
            .map(|row| days(row.done_until, row.until).count() as u64)
            .sum()
    }
}

/// The result of backfilling one kind of one account.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountBackfilled {
    /// The account.
    pub account: AccountSid,
    /// Which of its lists.
    pub kind: MediaKind,
    /// The listing covers recordings made from this time on...
    pub since: Timestamp,
    /// ...and before this time, when it is complete.
    pub until: Timestamp,
    /// Where the listing resumed this time.
    pub went_on_at: Timestamp,
    /// Everything before this time is listed.
    pub done_until: Timestamp,
    /// The number of recordings, messages, tracks or compositions that Twilio listed this time.
    pub listed: u64,
    /// The number of them that were new to the vault.
    pub announced: u64,
    /// The number of them that the vault knew incompletely, or whose work was missing or dead.
    pub advanced: u64,
    /// Seconds of audio and film to be fetched because of it, as far as Twilio reports them.
    pub seconds: u64,
    /// The same in bytes: of audio 16,000 for each second of each channel, of a film its size.
    pub bytes: u64,
    /// What would be done, in a dry run.
    #[serde(skip_serializing_if = "WouldReconcile::is_empty")]
    pub would: WouldReconcile,
    /// Why it was not completed.
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

    /// Determines where each listing begins or resumes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an account that is not configured or an empty period.
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
        let kinds: Vec<MediaKind> = MediaKind::ALL
            .iter()
            .copied()
            .filter(|kind| self.reconciliation.lists(*kind))
            .collect();
        let mut listings = Vec::new();
        for account in chosen(&accounts, wanted.account.as_ref())? {
            for &kind in &kinds {
                let (since_shown, until) = reach(kind, since, until, now);
                let fresh = ListingRow {
                    account: account.sid().clone(),
                    kind,
                    since,
                    until: until.max(since_shown),
                    done_until: since_shown,
                    listed: 0,
                    announced: 0,
                    updated_at: now,
                };
                let mut tx = self.db.read().await?;
                let former = listings::find(&mut tx, account.sid(), kind).await?;
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
        }
        Ok(BackfillPlan {
            listings,
            dry_run: wanted.dry_run,
            hold_back: wanted.hold_back,
        })
    }

    /// Lists one account after another; `say` is called for each completed day. A fault of one
    /// account does not stop the others.
    ///
    /// # Errors
    /// None: an account's fault is in its result.
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
                kind: row.kind,
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
        let reconciliation = &self.reconciliation;
        // A message behind a text through a session is no message of its own.
        let has_sessions = row.kind == MediaKind::Message
            && reconciliation
                .walk_sessions(comparison, row.done_until)
                .await?;
        // A backfill looks for nothing that its list does not contain.
        let mut nobody = Vec::new();
        for (since, until) in days(row.done_until, row.until) {
            if let Some(most) = hold_back.filter(|_| !comparison.is_dry()) {
                self.wait_for_fetches(most).await?;
            }
            let before = comparison.found.counts;
            let window = ListWindow {
                since,
                until: Some(until),
                with_deleted: false,
            };
            match row.kind {
                MediaKind::Message => {
                    let walk = reconciliation.walk_messages(comparison, window, has_sessions);
                    walk.await?;
                }
                MediaKind::VideoTrack | MediaKind::VideoComposition => {
                    let walk =
                        reconciliation.walk_videos(comparison, row.kind, window, &mut nobody);
                    walk.await?;
                }
                MediaKind::CallAudio | MediaKind::ChatMessage => {
                    self.walk_recordings(comparison, window).await?;
                }
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

    async fn walk_recordings(
        &self,
        comparison: &mut Comparison<'_>,
        window: ListWindow,
    ) -> Result<(), ReconcileFailure> {
        let mut list: Lister<'_, RecordingResource> =
            Lister::of(&self.twilio.client, comparison.account, window);
        while let Some(page) = list.next().await? {
            comparison.page(&page).await?;
        }
        Ok(())
    }

    /// Waits until at most `most` recordings wait to be fetched. Dead work is not counted.
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

    /// Records that a day is listed; with the last day, also that the account is.
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
                    row.kind,
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

/// Returns the part of a period in which a list of this kind is complete: Twilio shows messages for a
/// time, and the webhook of one that has just come in has more than the list.
fn reach(
    kind: MediaKind,
    since: Timestamp,
    until: Timestamp,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    if kind != MediaKind::Message {
        return (since, until);
    }
    let shown = whole_second(now.before(MESSAGES_SHOWN));
    let settled = whole_second(now.before(CALLBACK_COMES_WITHIN));
    (since.max(shown), until.min(settled))
}

/// Returns the days between two times, oldest first, split at midnight UTC.
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
