//! Playback: a purpose is stated, a grant given, and each opening decided again.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::{Error, Flow, streams::Registered};
use crate::{
    evidence::NewEntry,
    ledger::{
        audit,
        grants::{self, GrantRow},
        recordings, shreds, tokens,
    },
    model::{
        access::Principal,
        artefact::Artefact,
        id::{GrantId, RecordingId},
        name::Purpose,
        recording::{Recording, State},
    },
    policy::{Decision, Denial, Facts, Grant, decide},
    secret::{Token, TokenKind},
    vault::{self, Listening, Playable},
};

/// A grant that was given; the only time its token is seen.
pub struct Given {
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
pub struct Heard {
    pub(super) id: GrantId,
    pub(super) grant: Grant,
    /// What may be heard.
    pub playable: Playable,
}

/// What stands for the words of a justification at an opening: the words themselves are not kept, only that they were given.
const GIVEN_BEFORE: &str = "given with the request";

impl Flow {
    /// Decides a request to listen, writes the decision down, and gives a grant if it is allowed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Shredded`] or [`Error::Denied`] with every reason.
    pub async fn grant(
        &self,
        principal: &Principal,
        id: RecordingId,
        purpose: Purpose,
        justification: Option<&str>,
    ) -> Result<Given, Error> {
        let recording = self.recording(id).await?;
        let facts = Facts { justification, ..Facts::new(principal, &recording, purpose) };
        let grant = match decide(&facts, &self.0.rulebook, self.now()) {
            Decision::Allow(grant) => grant,
            Decision::Deny(denial) => return Err(self.refuse(&facts, None, denial).await?),
        };
        let (token, grant_id) = (Token::random(TokenKind::Grant, &mut rand::rng()), GrantId::random(&mut rand::rng()));
        let row = GrantRow {
            id: grant_id,
            recording: grant.recording(),
            token: grant.principal(),
            purpose: grant.purpose().clone(),
            justified: grant.is_justified(),
            ticket: None,
            break_glass: false,
            policy_digest: grant.policy_digest().to_owned(),
            issued_at: self.now(),
            expires_at: grant.expires_at(),
            opened_at: None,
        };
        let hash = token.hash();
        self.0
            .ledger
            .unit(|| async {
                let mut tx = self.0.ledger.begin().await?;
                grants::insert(&mut tx, &row, hash.as_str()).await?;
                audit::append(&mut tx, NewEntry::decision_allowed(row.issued_at, &grant, grant_id)).await?;
                tx.commit().await
            })
            .await?;
        metrics::counter!("recvault_decisions_total", "outcome" => "allowed").increment(1);
        let artefacts = self.given_by(&grant).await?;
        Ok(Given { id: grant_id, grant, token, artefacts })
    }

    /// Takes a grant token back in for one artefact: the grant's row is a claim, and the same decision is taken again with what is true now.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a token that is none, or an artefact that it does not give; [`Error::Shredded`], [`Error::Denied`].
    pub async fn redeem(&self, token: &str, wanted: Artefact) -> Result<Heard, Error> {
        let hash = Token::parse(TokenKind::Grant, token).ok_or(Error::NotFound)?.hash();
        let now = self.now();
        let mut tx = self.0.ledger.read().await?;
        let row = grants::find(&mut tx, hash.as_str()).await?.ok_or(Error::NotFound)?;
        // A revoked or expired bearer token takes its grants with it.
        let principal = tokens::living(&mut tx, row.token, now).await?.ok_or(Error::NotFound)?;
        let recording = recordings::find(&mut tx, row.recording).await?.ok_or(Error::NotFound)?;
        drop(tx);
        let facts = Facts {
            justification: row.justified.then_some(GIVEN_BEFORE),
            ticket: row.ticket.as_ref(),
            until: Some(row.expires_at),
            ..Facts::new(&principal, &recording, row.purpose)
        };
        let grant = match decide(&facts, &self.0.rulebook, now) {
            Decision::Allow(grant) => grant,
            Decision::Deny(denial) => return Err(self.refuse(&facts, Some(row.id), denial).await?),
        };
        let playable = self.0.vault.playable(&grant, wanted).await?;
        Ok(Heard { id: row.id, grant, playable })
    }

    /// Opens a byte range. The stream ends with an error when the recording is shredded, the grant ends, or nobody can say any more that
    /// neither is so, even between two pieces.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was shredded meanwhile; the vault's.
    pub async fn listen(&self, heard: &Heard, range: Range<u64>) -> Result<impl Stream<Item = Result<Bytes, Ended>> + Send + use<>, Error> {
        let (registered, bytes) = self.open(heard, range).await?;
        Ok(self.guarded(heard, registered, bytes))
    }

    /// Opens a byte range: plaintext that must not leave the house but through [`Self::guarded`].
    pub(super) async fn open(&self, heard: &Heard, range: Range<u64>) -> Result<(Registered, Listening), Error> {
        // Before the key is read: see `streams`.
        let registered = self.0.streams.register(heard.grant.recording());
        let bytes = self.0.vault.open(&heard.grant, heard.id, &heard.playable, range).await.map_err(|error| match error {
            vault::Error::Gone => Error::NotFound,
            other => other.into(),
        })?;
        metrics::counter!("recvault_openings_total").increment(1);
        Ok((registered, bytes))
    }

    /// Lets pieces pass as long as the stream may go on.
    pub(super) fn guarded<S, E>(
        &self,
        heard: &Heard,
        registered: Registered,
        bytes: S,
    ) -> impl Stream<Item = Result<Bytes, Ended>> + Send + use<S, E>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: std::fmt::Display + Send,
    {
        let (clock, ends) = (self.0.clock.clone(), heard.grant.expires_at());
        let state = (bytes, registered, false);
        stream::unfold(state, move |(mut bytes, registered, over)| {
            let clock = clock.clone();
            async move {
                if over {
                    return None;
                }
                let item = tokio::select! {
                    biased;
                    ended = registered.end() => Err(ended),
                    () = tokio::time::sleep(ends.since(clock.now())) => Err(Ended::GrantOver),
                    item = bytes.next() => match item {
                        None => return None,
                        Some(Ok(piece)) => Ok(piece),
                        Some(Err(error)) => {
                            tracing::error!(%error, "a stream broke off");
                            Err(Ended::Broken)
                        }
                    },
                };
                // Asked with the piece in hand, because no timer is sure to be the first to wake in a process that was stopped meanwhile.
                let item = item.and_then(|piece| match registered.has_ended() {
                    Some(ended) => Err(ended),
                    None if ends.since(clock.now()).is_zero() => Err(Ended::GrantOver),
                    None => Ok(piece),
                });
                let over = item.is_err();
                Some((item, (bytes, registered, over)))
            }
        })
    }

    async fn recording(&self, id: RecordingId) -> Result<Recording, Error> {
        recordings::find(&mut self.0.ledger.read().await?, id).await?.ok_or(Error::NotFound)
    }

    /// Writes a refusal down and turns it into what the asker may know.
    async fn refuse(&self, facts: &Facts<'_>, grant: Option<GrantId>, denial: Denial) -> Result<Error, Error> {
        let now = self.now();
        self.note(|| NewEntry::decision_denied(now, facts, grant, &denial)).await?;
        metrics::counter!("recvault_decisions_total", "outcome" => "denied").increment(1);
        if denial.is_hidden() {
            return Ok(Error::NotFound);
        }
        if facts.recording.state == State::Shredded {
            let fence = shreds::find_fence(&mut self.0.ledger.read().await?, facts.recording.id).await?;
            return Ok(fence.map_or(Error::NotFound, |(at, receipt)| Error::Shredded { at, receipt }));
        }
        Ok(Error::Denied(denial))
    }
}

/// Why a stream ended before its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The recording was shredded.
    #[error("the recording was shredded")]
    Shredded,
    /// The grant ended.
    #[error("the grant ended")]
    GrantOver,
    /// The ledger could not be asked for too long.
    #[error("the ledger cannot be asked whether this is still allowed")]
    Unsure,
    /// The object is not what was sealed, or the store failed.
    #[error("the stream broke off")]
    Broken,
}
