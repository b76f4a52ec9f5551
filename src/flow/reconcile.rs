//! Reconcile: Twilio's list of each account against the vault, so that a callback that never came
//! is missed for a quarter of an hour and not for ever.
//!
//! Owns whose turn it is, how far back is looked, and what is said of the outcome. `list` walks
//! Twilio's pages, `step` says what a recording needs, `compare` does it. Refuses to know how sound
//! is fetched or copies are deleted: it makes recordings known and asks for work.
//!
//! INVARIANT: it changes nothing that a callback could not have changed, and asks for nothing
//! twice: comparing again, or in two processes at once, changes nothing more. What cannot be had is
//! told and never changed.

pub(super) mod backfill;
pub(super) mod compare;
mod list;
mod step;
mod turn;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    stream::{self, FuturesUnordered},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::turn::Turn;
pub(super) use self::{
    compare::{Comparison, ReconcileFindings, WouldReconcile},
    list::{ListWindow, Lister, Patience},
};
use super::{bells::Bells, error::Error, ingest::Ingest, twilio_access::TwilioAccess};
use crate::{
    db::{self, Db, heard, reconciliations},
    evidence::NewEntry,
    model::{
        actor::Initiator,
        id::RecordingId,
        reconciled::Reconciled,
        recording::Recording,
        sid::AccountSid,
        time::{Clock, Timestamp},
    },
    twilio::{Account, Accounts, RestError},
    vault::{self, Vault},
};

/// Accounts compared at once.
const AT_ONCE: usize = 4;
/// How often is looked whether an account is due.
const PACE: Duration = Duration::from_secs(60);
/// What was announced later than this before the comparison may have been too late for Twilio's
/// list.
const SLACK: Duration = Duration::from_secs(3600);
/// A recording of whose beginning nothing is known began so long before it was heard of, at most:
/// the longest call, and the slack.
const LONGEST: Duration = Duration::from_secs(25 * 3600);
/// Recordings that Twilio does not list and is asked for one by one, at most.
const ASKED_SINGLY: usize = 100;
/// Recordings that wait, at most, as far as they are looked for in the list.
const WAITING: i64 = 10_000;
/// Ghosts that are named.
const NAMED: usize = 20;

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct Reconciling {
    /// Only this account.
    pub account: Option<AccountSid>,
    /// What Twilio made since then; `None`: as far as `twilio.reconcile.look_back_h` goes.
    pub since: Option<Timestamp>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What came of the comparison of one account.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountReconciled {
    /// The account.
    pub account: AccountSid,
    /// Compared was what Twilio made since then.
    pub since: Timestamp,
    /// What was found, until a fault if there was one.
    #[serde(flatten)]
    pub found: Reconciled,
    /// What would be done, in a dry run.
    #[serde(skip_serializing_if = "WouldReconcile::is_empty")]
    pub would: WouldReconcile,
    /// The first of the ghosts.
    pub ghost_recordings: Vec<RecordingId>,
    /// Why it did not come to its end.
    pub fault: Option<String>,
}

/// Why a comparison did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileFailure {
    /// Twilio could not or would not.
    #[error(transparent)]
    Source(#[from] RestError),
    /// We could not.
    #[error(transparent)]
    Ours(#[from] Error),
    /// Another process goes on with it.
    #[error("another process took the comparison over")]
    TakenOver,
}

/// Compares Twilio's lists with the vault.
pub struct Reconciliation {
    vault: Vault,
    db: Db,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    bells: Bells,
    ingest: Arc<Ingest>,
}

impl Reconciliation {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        bells: Bells,
        ingest: Arc<Ingest>,
    ) -> Self {
        Self {
            vault,
            db,
            clock,
            twilio,
            bells,
            ingest,
        }
    }

    /// Compares now, each account by itself: the fault of one stops no other.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an account that is not configured; nothing was compared then.
    pub async fn reconcile(&self, wanted: &Reconciling) -> Result<Vec<AccountReconciled>, Error> {
        let accounts = self.twilio.accounts();
        let since = wanted
            .since
            .unwrap_or_else(|| self.clock.now().before(accounts.reconcile().look_back()));
        let chosen = chosen(&accounts, wanted.account.as_ref())?;
        let each: Vec<_> = chosen
            .into_iter()
            .map(|account| self.reconcile_by_hand(account, since, wanted.dry_run))
            .collect();
        Ok(stream::iter(each).buffered(AT_ONCE).collect().await)
    }

    /// Compares each account when it is due, until `stop`. Of many processes one compares an
    /// account at a time; an account whose list is long keeps no other waiting for its next turn.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let slots = Semaphore::new(AT_ONCE);
        let mut running = FuturesUnordered::new();
        let mut busy: HashSet<AccountSid> = HashSet::new();
        loop {
            let accounts = self.twilio.accounts();
            if let Some(every) = accounts.reconcile().every() {
                for sid in accounts
                    .iter()
                    .map(Account::sid)
                    .filter(|sid| !busy.contains(*sid))
                    .cloned()
                    .collect::<Vec<_>>()
                {
                    busy.insert(sid.clone());
                    running.push(self.reconcile_watched(&slots, Arc::clone(&accounts), sid, every));
                }
            }
            let pause = tokio::time::sleep(PACE);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = &mut pause => break,
                    Some(sid) = running.next() => { busy.remove(&sid); }
                }
            }
        }
    }

    async fn reconcile_watched(
        &self,
        slots: &Semaphore,
        accounts: Arc<Accounts>,
        sid: AccountSid,
        every: Duration,
    ) -> AccountSid {
        let Some(account) = accounts.get(&sid) else {
            return sid;
        };
        let _slot = slots.acquire().await;
        if let Err(error) = self
            .reconcile_if_due(account, every, accounts.reconcile().look_back())
            .await
        {
            tracing::warn!(account = %sid, %error, "an account cannot be compared");
        }
        sid
    }

    async fn reconcile_if_due(
        &self,
        account: &Account,
        every: Duration,
        look_back: Duration,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        // Asking for the turn costs a write; looking does not.
        let rows = reconciliations::all(&mut self.db.read().await?).await?;
        if rows
            .iter()
            .any(|row| row.account == *account.sid() && row.tried_at >= now.before(every))
        {
            return Ok(());
        }
        let Some(turn) = Turn::take(self, account.sid(), now.before(every)).await? else {
            return Ok(());
        };
        self.reconcile_in_turn(account, now.before(look_back), &turn, Initiator::Vault)
            .await;
        Ok(())
    }

    async fn reconcile_by_hand(
        &self,
        account: &Account,
        since: Timestamp,
        dry_run: bool,
    ) -> AccountReconciled {
        if dry_run {
            let mut comparison = Comparison::of(self, account, true).dry(true);
            let outcome = self.walk(&mut comparison, since).await;
            return told(account, since, &comparison.found, outcome.as_ref().err());
        }
        match Turn::seize(self, account.sid()).await {
            Ok(turn) => {
                self.reconcile_in_turn(account, since, &turn, Initiator::Operator)
                    .await
            }
            Err(error) => told(
                account,
                since,
                &ReconcileFindings::default(),
                Some(&error.into()),
            ),
        }
    }

    async fn reconcile_in_turn(
        &self,
        account: &Account,
        since: Timestamp,
        turn: &Turn<'_>,
        actor: Initiator,
    ) -> AccountReconciled {
        let mut comparison = Comparison::of(self, account, actor == Initiator::Operator);
        let outcome = tokio::select! {
            outcome = self.walk(&mut comparison, since) => outcome,
            lost = turn.keep() => Err(lost),
        };
        let found = comparison.found;
        let left = match &outcome {
            Ok(()) => {
                self.note_reconciled(turn, since, actor, &found.counts)
                    .await
            }
            Err(ReconcileFailure::TakenOver) => Ok(()),
            Err(broken) => turn.failed(&broken.to_string()).await,
        };
        let outcome = outcome.and(left.map_err(|error| match error {
            Error::Vault(vault::Error::Db(db::Error::Stale(_))) => ReconcileFailure::TakenOver,
            other => other.into(),
        }));
        count(&found.counts);
        let Reconciled {
            listed,
            announced,
            advanced,
            erased,
            ghosts,
            ..
        } = found.counts;
        match &outcome {
            Ok(()) => {
                tracing::info!(account = %account.sid(), listed, announced, advanced, erased, ghosts, "reconciled")
            }
            Err(ReconcileFailure::TakenOver) => {
                tracing::info!(account = %account.sid(), "another process compares this account")
            }
            Err(broken) => {
                metrics::counter!("recvault_reconcile_failures_total").increment(1);
                tracing::warn!(
                    account = %account.sid(), why = %broken, listed, announced,
                    "the comparison of an account is incomplete"
                );
            }
        }
        told(account, since, &found, outcome.as_ref().err())
    }

    /// Walks Twilio's list, and then looks for what it does not hold.
    async fn walk(
        &self,
        comparison: &mut Comparison<'_>,
        since: Timestamp,
    ) -> Result<(), ReconcileFailure> {
        let account = comparison.account;
        let now = self.clock.now();
        let mut reader = self.db.read().await.map_err(Error::from)?;
        let waiting = heard::waiting(
            &mut reader,
            account.sid(),
            since.after(SLACK),
            now.before(SLACK),
            LONGEST,
            WAITING,
        )
        .await;
        drop(reader);
        let mut waiting: Vec<Recording> = waiting.map_err(Error::from)?;
        let mut list = Lister::of(
            &self.twilio.client,
            account,
            ListWindow {
                since,
                until: None,
                with_deleted: true,
            },
        );
        while let Some(page) = list.next().await? {
            let listed: HashSet<&str> = page.iter().map(|listed| listed.sid.as_str()).collect();
            waiting.retain(|recording| !listed.contains(recording.source_ref.sid()));
            comparison.page(&page).await?;
        }
        for (number, recording) in waiting.iter().enumerate() {
            if number < ASKED_SINGLY {
                self.ask_singly(comparison, recording).await?;
            } else {
                comparison.found.ghost(recording.id);
            }
        }
        Ok(())
    }

    /// Twilio's list does not hold it; Twilio itself may.
    async fn ask_singly(
        &self,
        comparison: &mut Comparison<'_>,
        recording: &Recording,
    ) -> Result<(), ReconcileFailure> {
        // What is of no call is in no list of recordings, and so not missing there.
        let Ok(sid) = recording.source_ref.recording_sid() else {
            return Ok(());
        };
        let mut patience = Patience::default();
        loop {
            match self
                .twilio
                .client
                .recording(comparison.account, &sid, true)
                .await
            {
                Ok(resource) => return comparison.page(std::slice::from_ref(&resource)).await,
                Err(RestError::NotFound) => {
                    comparison.found.ghost(recording.id);
                    return Ok(());
                }
                Err(error) => patience.after(error).await?,
            }
        }
    }

    /// Ends a turn with what was found. It is written down where something was changed, ghosts came
    /// or went, or somebody asked; a vault that is told everything would otherwise fill its log
    /// with nothing.
    async fn note_reconciled(
        &self,
        turn: &Turn<'_>,
        since: Timestamp,
        actor: Initiator,
        found: &Reconciled,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let text =
            serde_json::to_string(found).map_err(|error| Error::Invalid(error.to_string()))?;
        let before = self.reconciled_last(turn.account()).await?;
        let is_news =
            found.changes() > 0 || found.ghosts != before.ghosts || actor == Initiator::Operator;
        let ended = self.db.unit("reconcile.note_reconciled", async |mut unit| {
            turn.done(&mut unit, now, &text).await?;
            if is_news {
                unit.audit(NewEntry::reconcile_done(
                    now,
                    actor,
                    turn.account(),
                    since,
                    found,
                ));
            } else {
                unit.without_entry("a comparison that found nothing new is no news");
            }
            Ok::<_, db::Error>(())
        });
        Ok(ended.await?)
    }

    async fn reconciled_last(&self, account: &AccountSid) -> Result<Reconciled, Error> {
        let rows = reconciliations::all(&mut self.db.read().await?).await?;
        let found = rows
            .into_iter()
            .find(|row| row.account == *account)
            .and_then(|row| row.found);
        Ok(found
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default())
    }
}

/// One account, or all.
pub(super) fn chosen<'a>(
    accounts: &'a Accounts,
    one: Option<&AccountSid>,
) -> Result<Vec<&'a Account>, Error> {
    match one {
        None => Ok(accounts.iter().collect()),
        Some(sid) => {
            let account = accounts.get(sid).ok_or_else(|| {
                Error::Invalid(format!(
                    "account `{sid}` is not in `twilio.accounts`; add it"
                ))
            })?;
            Ok(vec![account])
        }
    }
}

fn told(
    account: &Account,
    since: Timestamp,
    found: &ReconcileFindings,
    broken: Option<&ReconcileFailure>,
) -> AccountReconciled {
    AccountReconciled {
        account: account.sid().clone(),
        since,
        found: found.counts,
        would: found.would.clone(),
        ghost_recordings: found.ghosts.iter().copied().take(NAMED).collect(),
        fault: broken.map(ToString::to_string),
    }
}

fn count(found: &Reconciled) {
    for (what, count) in [
        ("announced", found.announced),
        ("advanced", found.advanced),
        ("erased", found.erased),
    ] {
        metrics::counter!("recvault_reconciled_total", "what" => what).increment(count);
    }
}
