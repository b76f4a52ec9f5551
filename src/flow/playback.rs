//! Playback: a purpose is stated, a grant given, and each opening decided again.

pub(super) mod details;
mod ending;
pub(super) mod reading;
pub(super) mod watch;

use std::{net::IpAddr, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::{
    asking::{Asking, Circumstances},
    bells::Bells,
    error::Error,
    guard::{Guarded, StreamGuard},
    liveness::Liveness,
    refusal::refuse,
    streams::{Ended, Registered, Streams},
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
        recording::{Recording, RecordingState},
        time::{Clock, Timestamp},
    },
    policy::{self, Decision, DecisionFacts, Grant, Rulebook, decide},
    secret::{Token, TokenKind},
    vault::{self, PlayableArtefact, PlaybackStream, Vault},
};

/// A grant that was given; the only time its token is seen.
pub struct IssuedGrant {
    /// The grant's id.
    pub id: GrantId,
    /// The grant.
    pub grant: Grant,
    /// Its token, part of the media URLs.
    pub token: Token,
    /// What there is under it now.
    pub artefacts: Vec<Artefact>,
}

/// A grant that still holds, with what may be heard under it.
pub struct PlaybackSession {
    pub(super) id: GrantId,
    pub(super) grant: Grant,
    /// By whom, and of what: for the refusal that may still come.
    pub(super) principal: Principal,
    pub(super) recording: Recording,
    /// What may be heard.
    pub playable: PlayableArtefact,
    /// Its place among the running streams, taken before the facts were gathered: what is withdrawn
    /// after that ends it.
    pub(super) registered: Arc<Registered>,
}

/// A grant that still holds, whatever of its recording is wanted.
pub(super) struct Redeemed {
    pub(super) id: GrantId,
    pub(super) grant: Grant,
    pub(super) principal: Principal,
    pub(super) recording: Recording,
    pub(super) registered: Arc<Registered>,
}

/// What stands for the words of a justification at an opening: the words themselves are not kept,
/// only that they were given.
const GIVEN_BEFORE: &str = "given with the request";

/// Grants, and what is heard and read under them.
pub struct Playback {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    streams: Streams,
    liveness: Liveness,
    bells: Bells,
}

impl Playback {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        streams: Streams,
        liveness: Liveness,
        bells: Bells,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            streams,
            liveness,
            bells,
        }
    }

    /// Decides a request to listen, writes the decision down, and gives a grant if it is allowed.
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

    /// Keeps a grant and writes the decision down; an alarm, if the approval that the tier asks for
    /// is done without. Its id is chosen by the caller: who streams under it at once enters the
    /// stream under it first, because from the commit on anybody may end it.
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
            recording: grant.recording(),
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
                recording = %row.recording, principal = %grant.principal(), token = %row.token, grant = %row.id, purpose = %row.purpose,
                "break-glass: a recording is opened without the approval that its tier requires"
            );
        }
        let artefacts = self.given_by(&grant).await?;
        Ok(IssuedGrant {
            id: grant_id,
            grant,
            token,
            artefacts,
        })
    }

    /// Takes a grant token back in for one artefact: the grant's row is a claim, and the same
    /// decision is taken again with what is true now, and where the request comes from now.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a token that is none, or an artefact that it does not give;
    /// [`Error::Shredded`], [`Error::Denied`].
    pub async fn redeem(
        &self,
        token: &str,
        network: Option<IpAddr>,
        wanted: Artefact,
    ) -> Result<PlaybackSession, Error> {
        let Redeemed {
            id,
            grant,
            principal,
            recording,
            registered,
        } = self.redeemed(token, network).await?;
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

    /// Takes a grant token back in, whatever of the recording is wanted then.
    ///
    /// # Errors
    /// As [`Self::redeem`].
    pub(super) async fn redeemed(
        &self,
        token: &str,
        network: Option<IpAddr>,
    ) -> Result<Redeemed, Error> {
        let hash = Token::parse(TokenKind::Grant, token)
            .ok_or(Error::NotFound)?
            .hash();
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let since = audit::head(&mut tx).await?;
        let found = grants::find(&mut tx, hash.as_str()).await?;
        drop(tx);
        let found = found.ok_or(Error::NotFound)?;
        let registered = Arc::new(self.streams.register_since(found.recording, since));
        registered.by(found.token);
        registered.under(found.id);
        // Everything in a view of the database that was taken after the stream was entered: what
        // ends it and is not in there finds it.
        let mut tx = self.db.read().await?;
        let row = grants::find(&mut tx, hash.as_str())
            .await?
            .ok_or(Error::NotFound)?;
        // A revoked or expired bearer token takes its grants with it.
        let principal = tokens::living(&mut tx, row.token, now)
            .await?
            .ok_or(Error::NotFound)?;
        let recording = recordings::find(&mut tx, row.recording)
            .await?
            .ok_or(Error::NotFound)?;
        let circumstances =
            Circumstances::gather(&mut tx, &principal, &recording, &row.purpose, now).await?;
        drop(tx);
        let facts = DecisionFacts {
            justification: row.justified.then_some(GIVEN_BEFORE),
            ticket: row.ticket.as_ref(),
            network,
            break_glass: row.break_glass,
            // What was ended is over by anybody's clock.
            until: Some(
                row.ended_at
                    .map_or(row.expires_at, |_| Timestamp::from_millis(0)),
            ),
            ..circumstances.facts(&principal, &recording, row.purpose.clone())
        };
        let grant = match decide(&facts, &self.rulebook, now) {
            Decision::Allow(grant) => grant,
            Decision::Deny(denial) => {
                return Err(
                    refuse(&self.db, self.clock.now(), &facts, Some(row.id), denial).await?,
                );
            }
        };
        Ok(Redeemed {
            id: row.id,
            grant,
            principal,
            recording,
            registered,
        })
    }

    /// Opens a byte range. The stream ends with an error when the recording is shredded, the grant
    /// ends, or nobody can say any more that neither is so, even between two pieces. What was
    /// released before that is told by the stream's guard.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was shredded meanwhile; [`Error::Denied`] if others that ran
    /// beside it spent the day's budget; the vault's.
    pub async fn listen(
        &self,
        heard: &PlaybackSession,
        range: Range<u64>,
    ) -> Result<Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<>>, Error> {
        // A text may have to be changed before it is shown: only `read` gives it out.
        if heard.playable.artefact() != Artefact::Audio {
            return Err(Error::NotFound);
        }
        let bytes = self.open(heard, range).await?;
        Ok(self.guarded(&heard.registered, &heard.grant, bytes))
    }

    /// Whether what is heard could be opened now. Nothing is opened: it is what a `HEAD` asks.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub async fn could_open(&self, heard: &PlaybackSession) -> Result<(), Error> {
        match self.vault.could_open(&heard.grant, &heard.playable).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.unopened(heard, error).await?),
        }
    }

    /// Opens a byte range: plaintext that must not leave the house but through [`Self::guarded`].
    pub(super) async fn open(
        &self,
        heard: &PlaybackSession,
        range: Range<u64>,
    ) -> Result<PlaybackStream, Error> {
        let opened = self
            .vault
            .open(&heard.grant, heard.id, &heard.playable, range);
        match opened.await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(self.unopened(heard, error).await?),
        }
    }

    /// The error of what the vault does not open.
    async fn unopened(&self, heard: &PlaybackSession, error: vault::Error) -> Result<Error, Error> {
        match error {
            vault::Error::Gone | vault::Error::GrantEnded => Ok(Error::NotFound),
            vault::Error::CiphertextMissing(id) => self.missing(id).await,
            vault::Error::BudgetSpent => {
                self.over_budget(heard.id, &heard.grant, &heard.principal, &heard.recording)
                    .await
            }
            other => Ok(other.into()),
        }
    }

    /// Lets pieces pass as long as the stream may go on, and gives the guard of those that have
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
            // Asked with the piece in hand, because no timer is sure to be the first to wake in a
            // process that was stopped meanwhile.
            let item = item.and_then(|piece| guard.has_ended().map_or(Ok(piece), Err));
            let over = item.is_err();
            Some((item, (bytes, guard, over)))
        });
        Guarded::new(pieces, guard)
    }

    /// The error of a recording whose sealed object is not in the store; the log and the metrics tell
    /// of it once.
    async fn missing(&self, id: RecordingId) -> Result<Error, Error> {
        let found = recordings::find(&mut self.db.read().await?, id).await?;
        // It was shredded since its key was read, and its object removed.
        if found.is_none_or(|recording| recording.state == RecordingState::Shredded) {
            return Ok(Error::NotFound);
        }
        self.db
            .unit("playback.missing", async |mut unit| {
                match audit::is_missing_noted(&mut unit, id).await? {
                    true => unit.abandon(),
                    false => unit.audit(NewEntry::ciphertext_missing(self.clock.now(), id)),
                }
                Ok::<_, db::Error>(())
            })
            .await?;
        let error = vault::Error::CiphertextMissing(id);
        tracing::error!(recording = %id, %error, "a sealed object is missing in the store");
        Ok(error.into())
    }

    /// The refusal when others have spent a budget.
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
