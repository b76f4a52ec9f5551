//! Reconciliation: Twilio's list of each account is compared with the vault, so that a lost
//! callback delays a recording by a quarter of an hour instead of losing it.
//!
//! Owns the turns, the period that is compared, and the report. `list` reads Twilio's pages, `step`
//! decides what a recording needs, `compare` does it. Refuses to know how audio is fetched or
//! copies are deleted: it announces recordings and enqueues work.
//!
//! INVARIANT: it changes nothing that a callback could not have changed, and enqueues nothing
//! twice: a repeated or concurrent comparison changes nothing more. Recordings that cannot be
//! fetched are reported and not changed.

pub(super) mod backfill;
mod chats;
pub(super) mod compare;
mod list;
mod messages;
mod sessions;
mod step;
mod turn;
mod videos;
mod walk;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    stream::{self, FuturesUnordered},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(super) use self::compare::{Comparison, ReconcileFindings, WouldReconcile};
use self::turn::Turn;
use super::{
    error::Error,
    ingest::{
        Ingest,
        messages::{MessageIntake, chats::ChatIntake},
        videos::VideoIntake,
    },
    twilio_access::TwilioAccess,
    wakeups::Wakeups,
};
use crate::{
    db::{self, Db, reconciliations},
    evidence::NewEntry,
    model::{
        actor::Initiator,
        id::RecordingId,
        reconciled::Reconciled,
        sid::AccountSid,
        time::{Clock, Timestamp},
    },
    twilio::{Account, Accounts, RestError},
    vault::{self, Vault},
};

/// Accounts compared concurrently.
const AT_ONCE: usize = 4;
/// The interval at which due accounts are looked for.
const PACE: Duration = Duration::from_secs(60);
/// A recording announced within this time before the comparison may be missing in Twilio's list.
const SLACK: Duration = Duration::from_secs(3600);
/// The most unlisted recordings for which Twilio is queried one by one.
const ASKED_SINGLY: usize = 100;
/// The most ghosts that are named.
const NAMED: usize = 20;

/// The parameters of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Reconciling {
    /// Only this account.
    pub account: Option<AccountSid>,
    /// Only recordings made since then; `None` means as far back as `twilio.reconcile.look_back_h`.
    pub since: Option<Timestamp>,
    /// Only report what would be done.
    pub dry_run: bool,
}

/// The result of comparing one account.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountReconciled {
    /// The account.
    pub account: AccountSid,
    /// The beginning of the compared period.
    pub since: Timestamp,
    /// What was found, up to a fault if there was one.
    #[serde(flatten)]
    pub found: Reconciled,
    /// What would be done, in a dry run.
    #[serde(skip_serializing_if = "WouldReconcile::is_empty")]
    pub would: WouldReconcile,
    /// The first of the ghosts.
    pub ghost_recordings: Vec<RecordingId>,
    /// Why it was not completed.
    pub fault: Option<String>,
}

/// Why a comparison was not completed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileFailure {
    /// Twilio failed or refused.
    #[error(transparent)]
    Source(#[from] RestError),
    /// The vault failed.
    #[error(transparent)]
    Ours(#[from] Error),
    /// Another process took it over.
    #[error("another process took the comparison over")]
    TakenOver,
}

/// Compares Twilio's lists with the vault.
pub struct Reconciliation {
    vault: Vault,
    db: Db,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    wakeups: Wakeups,
    ingest: Arc<Ingest>,
    messages: Arc<MessageIntake>,
    chats: Arc<ChatIntake>,
    videos: Arc<VideoIntake>,
}

impl Reconciliation {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a dependency of its own, given once by the assembly"
    )]
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        wakeups: Wakeups,
        ingest: Arc<Ingest>,
        messages: Arc<MessageIntake>,
        chats: Arc<ChatIntake>,
        videos: Arc<VideoIntake>,
    ) -> Self {
        Self {
            vault,
            db,
            clock,
            twilio,
            wakeups,
            ingest,
            messages,
            chats,
            videos,
        }
    }

    /// Compares now, each account separately: a fault of one does not stop the others.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an account that is not configured; then nothing was compared.
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

    /// Compares each account when it is due, until `stop`. Only one process compares an account at
    /// a time; an account with a long list does not delay the others.
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
        // Taking the turn is a write; this check is not.
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
        if found.counts.messages_not_told > 0 {
            tracing::warn!(
                account = %account.sid(), messages = found.counts.messages_not_told,
                "messages came in that no callback and no event told of; check the webhook and its fallback URL at Twilio"
            );
        }
        let outcome = outcome.and(left.map_err(|error| match error {
            Error::Vault(vault::Error::Db(db::Error::LeaseLost)) => ReconcileFailure::TakenOver,
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

    /// Ends a turn with its result. It is recorded in the log only if something changed, ghosts
    /// appeared or disappeared, or an operator asked; otherwise uneventful comparisons would fill
    /// the log.
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

/// Returns one account, or all.
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
        ("messages-not-told", found.messages_not_told),
    ] {
        metrics::counter!("recvault_reconciled_total", "what" => what).increment(count);
    }
}
