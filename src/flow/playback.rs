//! Playback: a purpose is stated, a grant is given, and each opening is decided again.

mod context;
pub(super) mod details;
mod ending;
pub(super) mod listing;
pub(super) mod reading;
mod redaction;
pub(super) mod thread;
pub(super) mod watch;

use std::{net::IpAddr, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::{
    asking::{Asking, Circumstances, GIVEN_BEFORE},
    error::Error,
    guard::{Guarded, StreamGuard},
    liveness::Liveness,
    refusal::refuse,
    streams::{Ended, Registered, Streams},
    wakeups::Wakeups,
};
use crate::{
    db::{
        self, Db, approvals, audit,
        grants::{self, GrantRow},
        recordings, tokens,
    },
    evidence::NewEntry,
    model::{
        access::Principal,
        artefact::Artefact,
        id::{GrantId, RecordingId},
        recording::Recording,
        time::Clock,
    },
    policy::{self, Decision, DecisionFacts, Grant, Rulebook, decide},
    secret::{Token, TokenKind},
    vault::{self, PlayableArtefact, PlaybackStream, Vault},
};

/// A new grant. Its token is visible only here.
pub struct IssuedGrant {
    /// The grant's id.
    pub id: GrantId,
    /// The grant.
    pub grant: Grant,
    /// Its token, which is part of the media URLs.
    pub token: Token,
    /// The artefacts that it gives now.
    pub artefacts: Vec<Artefact>,
}

/// A valid grant with the artefact that may be played.
pub struct PlaybackSession {
    pub(super) id: GrantId,
    pub(super) grant: Grant,
    /// The principal and the recording, for a refusal that may follow.
    pub(super) principal: Principal,
    pub(super) recording: Recording,
    /// The artefact that may be played.
    pub playable: PlayableArtefact,
    /// Its entry in the register of running streams, made before the facts were collected: anything
    /// that is withdrawn later ends it.
    pub(super) registered: Arc<Registered>,
}

/// A valid grant, for any artefact of its recording.
pub(super) struct RedeemedGrant {
    pub(super) id: GrantId,
    pub(super) grant: Grant,
    pub(super) principal: Principal,
    pub(super) recording: Recording,
    pub(super) registered: Arc<Registered>,
}

/// Gives grants, and streams recordings and transcripts under them.
pub struct Playback {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    streams: Streams,
    liveness: Liveness,
    wakeups: Wakeups,
}

impl Playback {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        streams: Streams,
        liveness: Liveness,
        wakeups: Wakeups,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            streams,
            liveness,
            wakeups,
        }
    }

    /// Decides a request to listen, records the decision, and gives a grant if it is allowed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Shredded`] or [`Error::Denied`] with every reason.
    pub async fn grant(
        &self,
        principal: &Principal,
        id: RecordingId,
        asking: &Asking<'_>,
    ) -> Result<IssuedGrant, Error> {
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let recording = recordings::find(&mut tx, id)
            .await?
            .ok_or(Error::NotFound)?;
        let circumstances =
            Circumstances::gather(&mut tx, principal, &recording, &asking.purpose, now).await?;
        drop(tx);
        let facts = circumstances.asked(principal, &recording, asking);
        match decide(&facts, &self.rulebook, now) {
            Decision::Allow(grant) => {
                let id = GrantId::random(&mut rand::rng());
                self.give(&facts, grant, id).await
            }
            Decision::Deny(denial) => {
                Err(refuse(&self.db, self.clock.now(), &facts, None, denial).await?)
            }
        }
    }

    /// Stores a grant and records the decision; logs an alarm if the required approval is bypassed.
    /// The caller chooses the id: a caller that streams immediately registers the stream under it
    /// first, because from the commit on anybody may end the grant.
    pub(super) async fn give(
        &self,
        facts: &DecisionFacts<'_>,
        grant: Grant,
        grant_id: GrantId,
    ) -> Result<IssuedGrant, Error> {
        let token = Token::random(TokenKind::Grant, &mut rand::rng());
        let now = self.clock.now();
        let is_broken = grant.is_break_glass();
        let row = GrantRow {
            id: grant_id,
            hash: token.hash().as_str().to_owned(),
            object: grant.recording().into(),
            account: facts.recording.account().clone(),
            token: grant.credential(),
            purpose: grant.purpose().clone(),
            justified: grant.is_justified(),
            ticket: facts.ticket.cloned(),
            break_glass: is_broken,
            policy_digest: grant.policy_digest().to_owned(),
            issued_at: now,
            expires_at: grant.expires_at(),
            opened_at: None,
            approval: grant.approval(),
            ended_at: None,
        };
        let allowed = NewEntry::decision_allowed(now, &grant, grant_id).with_request(facts);
        let broken =
            is_broken.then(|| NewEntry::glass_broken(now, &grant, grant_id).with_request(facts));
        let entries: Vec<NewEntry> = [allowed].into_iter().chain(broken).collect();
        // Before the commit: a read that fails must not lose the token of a grant that stands.
        let artefacts = self.given_by(&grant).await?;
        self.db
            .unit("playback.give", async |mut unit| {
                if let Some(approval) = row.approval {
                    approvals::lock_approved(&mut unit, approval).await?;
                }
                grants::insert(&mut unit, &row).await?;
                unit.audit_all(entries.iter().cloned());
                Ok::<_, db::Error>(())
            })
            .await
            .map_err(|error| match error {
                db::Error::Stale(_) => {
                    Error::Conflict("the approval was taken back meanwhile; ask again".into())
                }
                other => other.into(),
            })?;
        if is_broken {
            tracing::error!(
                recording = %row.object, principal = %grant.principal(), token = %row.token, grant = %row.id, purpose = %row.purpose,
                "break-glass: a recording is opened without the approval that its tier requires"
            );
        }
        Ok(IssuedGrant {
            id: grant_id,
            grant,
            token,
            artefacts,
        })
    }

    /// Redeems a grant token for one artefact. The grant's row is a claim: the decision is made
    /// again with the current facts and the current origin of the request.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown token, or an artefact that the grant does not give;
    /// [`Error::Shredded`], [`Error::Denied`].
    pub async fn redeem(
        &self,
        token: &str,
        network: Option<IpAddr>,
        wanted: Artefact,
    ) -> Result<PlaybackSession, Error> {
        let redeemed = self.redeemed(token, network).await?;
        let there = self.given_by(&redeemed.grant).await?;
        let latest = wanted.latest(there).unwrap_or(wanted);
        self.session(redeemed, latest).await
    }

    /// The same for one state of a message that was edited. [`Self::redeem`] gives the latest.
    ///
    /// # Errors
    /// As [`Self::redeem`].
    pub async fn redeem_state(
        &self,
        token: &str,
        network: Option<IpAddr>,
        state: Artefact,
    ) -> Result<PlaybackSession, Error> {
        let redeemed = self.redeemed(token, network).await?;
        self.session(redeemed, state).await
    }

    async fn session(
        &self,
        redeemed: RedeemedGrant,
        wanted: Artefact,
    ) -> Result<PlaybackSession, Error> {
        let RedeemedGrant {
            id,
            grant,
            principal,
            recording,
            registered,
        } = redeemed;
        let playable = match self.vault.playable(&grant, wanted).await {
            Err(vault::Error::CiphertextMissing(id)) => return Err(self.missing(id).await?),
            playable => playable?,
        };
        Ok(PlaybackSession {
            id,
            grant,
            playable,
            principal,
            recording,
            registered,
        })
    }

    /// Redeems a grant token for any artefact of the recording.
    ///
    /// # Errors
    /// As [`Self::redeem`].
    pub(super) async fn redeemed(
        &self,
        token: &str,
        network: Option<IpAddr>,
    ) -> Result<RedeemedGrant, Error> {
        let hash = Token::parse(TokenKind::Grant, token)
            .ok_or(Error::NotFound)?
            .hash();
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let since = audit::head(&mut tx).await?;
        let found = grants::find(&mut tx, hash.as_str()).await?;
        drop(tx);
        let found = found.ok_or(Error::NotFound)?;
        // A grant over a conversation gives its messages together, and none by itself.
        let id = found.object.recording().ok_or(Error::NotFound)?;
        let registered = Arc::new(self.streams.register_since(id, since));
        registered.by(found.token);
        registered.under(found.id);
        // All facts are read after the stream was registered: an ending that is not among them will
        // find the stream.
        let mut tx = self.db.read().await?;
        let row = grants::find(&mut tx, hash.as_str())
            .await?
            .ok_or(Error::NotFound)?;
        // Grants end with their bearer token.
        let principal = tokens::living(&mut tx, row.token, now)
            .await?
            .ok_or(Error::NotFound)?;
        let recording = recordings::find(&mut tx, id)
            .await?
            .ok_or(Error::NotFound)?;
        let circumstances =
            Circumstances::gather(&mut tx, &principal, &recording, &row.purpose, now).await?;
        drop(tx);
        let facts = circumstances.claimed(&principal, &recording, &row, network);
        let grant = match decide(&facts, &self.rulebook, now) {
            Decision::Allow(grant) => grant,
            Decision::Deny(denial) => {
                return Err(
                    refuse(&self.db, self.clock.now(), &facts, Some(row.id), denial).await?,
                );
            }
        };
        Ok(RedeemedGrant {
            id: row.id,
            grant,
            principal,
            recording,
            registered,
        })
    }

    /// Streams a byte range. The stream ends with an error when the recording is shredded, the
    /// grant ends, or neither can be ruled out any more, even between two pieces. The stream's
    /// guard covers pieces that were released before that.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was shredded meanwhile; [`Error::Denied`] if concurrent openings
    /// used up the day's budget; errors of the vault.
    pub async fn listen(
        &self,
        session: &PlaybackSession,
        range: Range<u64>,
    ) -> Result<Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<>>, Error> {
        // A text may have to be redacted: only `read` returns it.
        if session.playable.artefact().is_text() {
            return Err(Error::NotFound);
        }
        let bytes = self.open(session, range).await?;
        Ok(self.guarded(&session.registered, &session.grant, bytes))
    }

    /// Checks whether the artefact could be opened now, for a `HEAD` request. Opens nothing.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub async fn could_open(&self, session: &PlaybackSession) -> Result<(), Error> {
        match self
            .vault
            .could_open(&session.grant, &session.playable)
            .await
        {
            Ok(()) => Ok(()),
            Err(error) => Err(self.unopened(session, error).await?),
        }
    }

    /// Opens a byte range: plaintext that must be sent only through [`Self::guarded`].
    pub(super) async fn open(
        &self,
        session: &PlaybackSession,
        range: Range<u64>,
    ) -> Result<PlaybackStream, Error> {
        let opened = self
            .vault
            .open(&session.grant, session.id, &session.playable, range);
        match opened.await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(self.unopened(session, error).await?),
        }
    }

    /// Converts the error of an opening that the vault refused.
    async fn unopened(
        &self,
        session: &PlaybackSession,
        error: vault::Error,
    ) -> Result<Error, Error> {
        match error {
            vault::Error::Gone | vault::Error::GrantEnded => Ok(Error::NotFound),
            vault::Error::CiphertextMissing(id) => self.missing(id).await,
            vault::Error::BudgetSpent => {
                self.over_budget(
                    session.id,
                    &session.grant,
                    &session.principal,
                    &session.recording,
                )
                .await
            }
            other => Ok(other.into()),
        }
    }

    /// Passes pieces on as long as the stream may go on, and returns the guard of those that were
    /// passed.
    pub(super) fn guarded<S, E>(
        &self,
        registered: &Arc<Registered>,
        grant: &Grant,
        bytes: S,
    ) -> Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<S, E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: std::fmt::Display + Send,
    {
        let guard = StreamGuard::of(
            Arc::clone(registered),
            self.clock.clone(),
            grant.expires_at(),
        );
        passed_on(guard, bytes)
    }

    /// Returns the error of a recording whose sealed object is not in the store; it is logged and
    /// counted once.
    async fn missing(&self, id: RecordingId) -> Result<Error, Error> {
        let noted = self
            .db
            .unit("playback.missing", async |mut unit| {
                // Serialises this with concurrent reports and shreds.
                recordings::lock_sealed(&mut unit, id).await?;
                match audit::is_missing_noted(&mut unit, id).await? {
                    true => unit.abandon(),
                    false => unit.audit(NewEntry::ciphertext_missing(self.clock.now(), id)),
                }
                Ok::<_, db::Error>(())
            })
            .await;
        match noted {
            // It was shredded after its key was read, and its object removed.
            Err(db::Error::Stale(_)) => return Ok(Error::NotFound),
            noted => noted?,
        }
        let error = vault::Error::CiphertextMissing(id);
        tracing::error!(recording = %id, %error, "a sealed object is missing in the store");
        Ok(error.into())
    }

    /// Returns the refusal after concurrent openings used up a budget.
    pub(super) async fn over_budget(
        &self,
        id: GrantId,
        grant: &Grant,
        principal: &Principal,
        recording: &Recording,
    ) -> Result<Error, Error> {
        let justification = grant.is_justified().then_some(GIVEN_BEFORE);
        let facts = DecisionFacts {
            justification,
            ..DecisionFacts::new(principal, recording, grant.purpose().clone())
        };
        refuse(
            &self.db,
            self.clock.now(),
            &facts,
            Some(id),
            policy::over_budget(grant.purpose(), &self.rulebook),
        )
        .await
    }
}

/// Passes pieces on as long as their guard allows it.
fn passed_on<S, E>(
    guard: StreamGuard,
    bytes: S,
) -> Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<S, E>>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: std::fmt::Display + Send,
{
    let state = (bytes, guard.clone(), false);
    let pieces = stream::unfold(state, async |(mut bytes, guard, over)| {
        if over {
            return None;
        }
        let item = tokio::select! {
            biased;
            ended = guard.ended() => Err(ended),
            item = bytes.next() => match item {
                None => return None,
                Some(Ok(piece)) => Ok(piece),
                Some(Err(error)) => {
                    tracing::error!(%error, "a stream was not completed");
                    Err(Ended::Broken)
                }
            },
        };
        // Checked with the piece in hand, because after the process was suspended the timer may
        // not be the first to wake.
        let item = item.and_then(|piece| guard.has_ended().map_or(Ok(piece), Err));
        let over = item.is_err();
        Some((item, (bytes, guard, over)))
    });
    Guarded::new(pieces, guard)
}
