//! Requests that take effect once, however often they are sent (the header `Idempotency-Key`).
//!
//! Owns the claim, its lease, and how long an answer is kept. Refuses to know what a request does,
//! and HTTP: the answer is a text. INVARIANT: two attempts at one request never run at the same
//! time, unless one of them has stood still for longer than its lease. Then, and whenever the answer
//! is not kept (a process dies between the effect and the answer, a 5xx, a failure to store it, a
//! restore), the effect may come twice.

use std::{convert::Infallible, time::Duration};

use zeroize::Zeroizing;

use super::error::Error;
use crate::{
    db::{
        self, Db, Term,
        idempotency::{self, RequestClaim},
    },
    model::{crash, id::TokenId, idempotency::IdempotencyKey},
    vault::{OnceRequest, Vault},
};

/// How long an answer is kept.
pub(super) const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How long an attempt is believed to go on without a sign of it.
const LEASE: Duration = Duration::from_secs(30);

/// Claims of requests, and their answers.
pub struct Idempotency {
    vault: Vault,
    db: Db,
}

/// What is to be done about a request.
pub enum Attempt {
    /// Nobody has answered it: the caller does.
    First(ClaimedRequest),
    /// It was answered so.
    Answered(Zeroizing<String>),
    /// Another attempt goes on.
    Running,
    /// The key was given with another request.
    OtherRequest,
}

/// A request that is the caller's to answer.
pub struct ClaimedRequest {
    request: OnceRequest,
    token: i64,
}

/// The time between two extensions of a claim.
const SIGN_EVERY: Duration = Duration::from_secs(10);

impl ClaimedRequest {
    fn place(&self) -> (&str, i64) {
        (&self.request.id, self.token)
    }
}

impl Idempotency {
    pub(in crate::flow) fn new(vault: Vault, db: Db) -> Self {
        Self { vault, db }
    }

    /// Claims the request of the bearer of a token under a key of theirs; `fields` are what it is.
    ///
    /// # Errors
    /// The database's; the vault's, if a kept answer does not open.
    pub async fn claim(
        &self,
        bearer: TokenId,
        key: &IdempotencyKey,
        fields: &[&[u8]],
    ) -> Result<Attempt, Error> {
        let request = self.vault.once(bearer, key, fields);
        let claimed = self.db.unit("idempotency.claim", async |mut unit| {
            unit.without_entry("whose the request is");
            let term = Term::begin(&mut unit, LEASE).await?;
            let names = (request.id.as_str(), request.fingerprint.as_str());
            idempotency::claim(&mut unit, names, term, KEPT).await
        });
        Ok(match claimed.await? {
            RequestClaim::Taken(token) => {
                crash::point("idempotency.claimed");
                Attempt::First(ClaimedRequest { request, token })
            }
            RequestClaim::Answered(sealed) => {
                Attempt::Answered(self.vault.open_answer(&request, &sealed)?)
            }
            RequestClaim::Running => Attempt::Running,
            RequestClaim::OtherRequest => Attempt::OtherRequest,
        })
    }

    /// Extends a claim again and again. Never returns; the caller drops it when the work is done.
    pub async fn keep(&self, claimed: &ClaimedRequest) -> Infallible {
        loop {
            tokio::time::sleep(SIGN_EVERY).await;
            self.extend(claimed).await;
        }
    }

    /// Extends a claim.
    pub async fn extend(&self, claimed: &ClaimedRequest) {
        let extended = self.db.unit("idempotency.extend", async |mut unit| {
            unit.without_entry("whose the request is");
            let term = Term::begin(&mut unit, LEASE).await?;
            idempotency::extend(&mut unit, claimed.place(), term).await
        });
        warn(extended.await, "its claim was not kept");
    }

    /// Keeps the answer. If it cannot be kept, the request has taken effect all the same, and a repeat
    /// may run it again.
    pub async fn answer(&self, claimed: &ClaimedRequest, answer: &str) {
        crash::point("idempotency.done");
        let sealed = self.vault.seal_answer(&claimed.request, answer);
        let answered = self.db.unit("idempotency.answer", async |mut unit| {
            unit.without_entry("what was done is told by itself");
            idempotency::answer(&mut unit, claimed.place(), &sealed).await
        });
        warn(answered.await, "its answer was not kept");
    }

    /// Gives the claim back: the request was not answered for good, and a repeat runs it again.
    pub async fn release(&self, claimed: &ClaimedRequest) {
        let released = self.db.unit("idempotency.release", async |mut unit| {
            unit.without_entry("whose the request is");
            idempotency::release(&mut unit, claimed.place()).await?;
            Ok::<_, db::Error>(true)
        });
        warn(released.await, "its claim was not given back");
    }
}

fn warn(done: Result<bool, db::Error>, what: &'static str) {
    match done {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "a request with an idempotency key stood still so long that another took it over: {what}"
        ),
        Err(error) => tracing::warn!(%error, "a request with an idempotency key: {what}"),
    }
}
