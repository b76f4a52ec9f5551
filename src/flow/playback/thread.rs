//! Reading what was written in a conversation, under one grant.
//!
//! Owns the order, page by page: streams are registered, the facts are read, each message is decided
//! by the one gate, and those that are allowed are opened in one unit. Refuses to know the output
//! format. INVARIANTS
//! - A message is given only if it is allowed now; the grant's row is a claim.
//! - What the principal must not know of is left out, and not counted.

mod granting;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{Stream, stream};

pub use self::granting::IssuedThreadGrant;
use super::{Playback, passed_on};
use crate::{
    db::{
        audit,
        grants::{self, GrantRow},
        recordings::{self, RecordingFilter, RecordingSort, SealedArtefact},
        tokens,
    },
    evidence::NewEntry,
    flow::{
        asking::Circumstances,
        error::Error,
        guard::{Guarded, StreamGuard},
        refusal::{refuse_request, shred_of},
        streams::{Ended, Registered},
    },
    model::{
        access::Principal,
        artefact::Artefact,
        details::Participants,
        id::{GrantId, ReceiptId, RecordingId},
        name::{LegName, Purpose},
        recording::{Recording, RecordingState},
        subject::Conversation,
        time::Timestamp,
        transcript::Said,
    },
    policy::{self, Decision, Denial, Grant, View, ViewKind, decide},
    secret::{SecretBuffer, Token, TokenKind},
    vault::{self, ConversationPage, OpenedText, TextOpening},
};

/// Text of one page, in bytes: a page ends early when it has that much.
const PAGE_BYTES: u64 = 1024 * 1024;
/// Bytes released at a time.
const PIECE: usize = 16 * 1024;
/// The name of the request in the log, when it is refused as a whole.
const REQUEST: &str = "read-conversation";

/// A valid grant over a conversation.
pub struct ThreadSession {
    row: GrantRow,
    /// The conversation.
    pub conversation: Conversation,
    principal: Principal,
    network: Option<IpAddr>,
}

impl ThreadSession {
    /// The grant's id.
    pub fn id(&self) -> GrantId {
        self.row.id
    }

    /// The purpose for which it was given.
    pub fn purpose(&self) -> &Purpose {
        &self.row.purpose
    }
}

/// A part of a conversation, in the order in which it was written.
pub struct ThreadPage {
    /// What was written, and what stands for the rest.
    pub items: Vec<ThreadItem>,
    /// The participants, as far as the views show them; `None` if none does.
    pub parties: Option<Participants>,
    /// The place behind which the next page begins, if there is one.
    pub next: Option<(Timestamp, RecordingId)>,
    guard: StreamGuard,
}

/// One recording of a conversation.
pub struct ThreadItem {
    /// The recording.
    pub recording: Recording,
    /// What is given of it.
    pub content: ThreadContent,
}

/// What is given of a recording.
pub enum ThreadContent {
    /// Its text, in a view.
    Shown(ShownText),
    /// Nothing, because the policy refuses it.
    Refused(Denial),
    /// Nothing any more: when it was shredded, and the receipt, once a restore would find it.
    Shredded(Option<(Timestamp, ReceiptId)>),
    /// Nothing, because the view of the purpose has no text.
    OtherView,
    /// Nothing now: its text cannot be read at the moment.
    Unreadable,
    /// It was not written: a recording of its own, which is asked for by itself.
    Unwritten,
}

/// A text in a view.
pub struct ShownText {
    /// The text.
    pub text: Said,
    /// The view.
    pub view: ViewKind,
    /// The kinds of content that were redacted in it; empty if nothing was.
    pub redacted: BTreeSet<&'static str>,
}

/// A recording whose text may be opened.
struct Allowed {
    /// Its place among the items.
    at: usize,
    grant: Grant,
    sealed: SealedArtefact,
    registered: Arc<Registered>,
}

/// The decisions about a page.
#[derive(Default)]
struct Decided {
    items: Vec<ThreadItem>,
    allowed: Vec<Allowed>,
    refusals: Vec<NewEntry>,
    /// Where the page ended early, because it has much text.
    cut: Option<(Timestamp, RecordingId)>,
}

impl Playback {
    /// Redeems a grant token for a conversation. Opens nothing yet.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown token, or one for a recording; [`Error::Denied`] if the
    /// grant has ended.
    pub async fn redeem_thread(
        &self,
        token: &str,
        network: Option<IpAddr>,
    ) -> Result<ThreadSession, Error> {
        let hash = Token::parse(TokenKind::Grant, token)
            .ok_or(Error::NotFound)?
            .hash();
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let row = grants::find(&mut tx, hash.as_str())
            .await?
            .ok_or(Error::NotFound)?;
        let conversation = row.object.conversation().cloned().ok_or(Error::NotFound)?;
        // Grants end with their bearer token.
        let principal = tokens::living(&mut tx, row.token, now)
            .await?
            .ok_or(Error::NotFound)?;
        drop(tx);
        if row.ended_at.is_some() || row.expires_at <= now {
            let denial = policy::grant_over(&self.rulebook);
            return Err(refuse_request(&self.db, now, &principal, REQUEST, denial).await?);
        }
        Ok(ThreadSession {
            row,
            conversation,
            principal,
            network,
        })
    }

    /// Reads a page of a conversation, at most `limit` recordings behind a place, the earliest first.
    /// What it opens is in the log when this returns. The page must be released through
    /// [`ThreadPage::release`], which stops when anything of it may not be given any more.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the grant ended meanwhile; [`Error::Denied`] if the day's budget is
    /// used up; errors of the vault.
    pub async fn read_thread(
        &self,
        session: &ThreadSession,
        after: Option<(Timestamp, RecordingId)>,
        limit: u16,
    ) -> Result<ThreadPage, Error> {
        let ThreadSession { row, .. } = session;
        let mut tx = self.db.read().await?;
        let since = audit::head(&mut tx).await?;
        let filter = RecordingFilter {
            conversation: Some(session.conversation.clone()),
            account: Some(row.account.clone()),
            accounts: session.principal.accounts.clone(),
            sort: RecordingSort::OldestRecorded,
            after,
            ..RecordingFilter::default()
        };
        let listed = recordings::list(&mut tx, &filter, i64::from(limit) + 1).await?;
        drop(tx);
        let has_more = listed.len() > usize::from(limit);
        let places: Vec<(Timestamp, RecordingId)> = listed
            .iter()
            .take(limit.into())
            .map(|recording| filter.sort.place(recording))
            .collect();
        // All facts are read after the streams were registered: an ending that is not among them
        // will find its stream.
        let registered: BTreeMap<RecordingId, Arc<Registered>> = places
            .iter()
            .map(|(_, id)| {
                let registered = Arc::new(self.streams.register_since(*id, since));
                registered.by(row.token);
                registered.under(row.id);
                (*id, registered)
            })
            .collect();
        let decided = self.decide_page(session, &places, registered).await?;
        let end = places.last().copied().filter(|_| has_more);
        let next = decided.cut.or(end);
        self.open_page(session, decided, next).await
    }

    /// Decides about each recording of a page, in its order.
    async fn decide_page(
        &self,
        session: &ThreadSession,
        places: &[(Timestamp, RecordingId)],
        mut registered: BTreeMap<RecordingId, Arc<Registered>>,
    ) -> Result<Decided, Error> {
        let ThreadSession {
            row,
            conversation,
            principal,
            network,
        } = session;
        let now = self.clock.now();
        let ids: Vec<RecordingId> = places.iter().map(|(_, id)| *id).collect();
        let mut tx = self.db.read().await?;
        let found = recordings::find_all(&mut tx, &ids).await?;
        let mut circumstances =
            Circumstances::gather_in(&mut tx, principal, conversation, &found, &row.purpose, now)
                .await?;
        let mut texts = recordings::latest_texts(&mut tx, &ids).await?;
        let mut found: BTreeMap<RecordingId, Recording> = found
            .into_iter()
            .map(|recording| (recording.id, recording))
            .collect();
        let mut decided = Decided::default();
        let mut bytes = 0;
        let mut before = None;
        for place in places {
            let id = place.1;
            let (Some(recording), Some(circumstances), Some(registered)) = (
                found.remove(&id),
                circumstances.remove(&id),
                registered.remove(&id),
            ) else {
                continue;
            };
            let facts =
                circumstances.claimed_in(principal, &recording, row, *network, &self.rulebook);
            let decision = match decide(&facts, &self.rulebook, now) {
                // A claim is decided without the budget, which counts when it is opened; here each
                // message has its own.
                Decision::Allow(grant)
                    if grant
                        .budget()
                        .is_some_and(|budget| circumstances.openings_today >= budget) =>
                {
                    Decision::Deny(policy::over_budget(&row.purpose, &self.rulebook))
                }
                decision => decision,
            };
            let content = match decision {
                // Its existence may not be known, and so nothing may count it.
                Decision::Deny(denial) if denial.is_hidden() => continue,
                _ if !recording.kind().is_written() => ThreadContent::Unwritten,
                Decision::Deny(denial) => {
                    decided.refusals.push(
                        NewEntry::decision_denied(now, &facts, Some(row.id), &denial)
                            .with_request(&facts),
                    );
                    match recording.state {
                        RecordingState::Shredded => {
                            ThreadContent::Shredded(shred_of(&mut tx, id).await.ok().flatten())
                        }
                        _ => ThreadContent::Refused(denial),
                    }
                }
                Decision::Allow(grant) if !grant.view().gives(Artefact::Transcript) => {
                    ThreadContent::OtherView
                }
                Decision::Allow(grant) => match texts.remove(&id) {
                    Some(sealed) => {
                        bytes += sealed.plain_len;
                        if bytes > PAGE_BYTES && !decided.allowed.is_empty() {
                            decided.cut = before;
                            break;
                        }
                        decided.allowed.push(Allowed {
                            at: decided.items.len(),
                            grant,
                            sealed,
                            registered,
                        });
                        // Until it is opened.
                        ThreadContent::Unreadable
                    }
                    None => ThreadContent::Unreadable,
                },
            };
            decided.items.push(ThreadItem { recording, content });
            before = Some(*place);
        }
        Ok(decided)
    }

    /// Opens what was allowed of a page.
    async fn open_page(
        &self,
        session: &ThreadSession,
        decided: Decided,
        next: Option<(Timestamp, RecordingId)>,
    ) -> Result<ThreadPage, Error> {
        let Decided {
            mut items,
            allowed,
            refusals,
            ..
        } = decided;
        let with_parties = showing_parties(&items, &allowed);
        let texts: Vec<TextOpening<'_>> = allowed
            .iter()
            .map(|allowed| TextOpening {
                grant: &allowed.grant,
                sealed: &allowed.sealed,
                with_parties: with_parties.contains(&allowed.at),
            })
            .collect();
        let page = ConversationPage {
            grant: session.row.id,
            conversation: &session.conversation,
            withheld: items.len() - allowed.len(),
            refusals: &refusals,
        };
        let opened = match self.vault.open_conversation(&page, &texts).await {
            Ok(opened) => opened,
            Err(vault::Error::GrantEnded) => return Err(Error::NotFound),
            Err(vault::Error::BudgetSpent) => {
                let denial = policy::over_budget(&session.row.purpose, &self.rulebook);
                let now = self.clock.now();
                let refused = refuse_request(&self.db, now, &session.principal, REQUEST, denial);
                return Err(refused.await?);
            }
            Err(other) => return Err(other.into()),
        };
        drop(texts);
        let guard = StreamGuard::of_nothing();
        let mut parties: Option<Participants> = None;
        let mut shown = Vec::with_capacity(opened.len());
        for (allowed, opened) in allowed.into_iter().zip(opened) {
            let opened = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    self.unopened_text(&mut items, &allowed, error).await?;
                    continue;
                }
            };
            guard.enter(
                Arc::clone(&allowed.registered),
                self.clock.clone(),
                allowed.grant.expires_at(),
                0,
            );
            let OpenedText {
                json,
                parties: known,
            } = opened;
            if let Some(known) = known {
                let parties = parties.get_or_insert_default();
                parties.complete(known.iter().cloned());
            }
            shown.push((allowed.at, allowed.grant.view(), json));
        }
        let items = self.in_views(items, shown).await?;
        Ok(ThreadPage {
            items,
            parties,
            next,
            guard,
        })
    }

    /// Says of a text that was allowed and not opened what stands for it.
    async fn unopened_text(
        &self,
        items: &mut [ThreadItem],
        allowed: &Allowed,
        error: vault::Error,
    ) -> Result<(), Error> {
        let id = allowed.grant.recording();
        let content = match error {
            // It was shredded after the decision, or its approval was taken back.
            vault::Error::Gone => {
                let mut tx = self.db.read().await?;
                match recordings::find(&mut tx, id).await? {
                    Some(recording) if recording.state == RecordingState::Shredded => {
                        ThreadContent::Shredded(shred_of(&mut tx, id).await.ok().flatten())
                    }
                    _ => ThreadContent::Unreadable,
                }
            }
            vault::Error::CiphertextMissing(id) => {
                self.missing(id).await?;
                ThreadContent::Unreadable
            }
            other => return Err(other.into()),
        };
        if let Some(item) = items.get_mut(allowed.at) {
            item.content = content;
        }
        Ok(())
    }

    /// Puts opened texts into their items, each in its view.
    async fn in_views(
        &self,
        mut items: Vec<ThreadItem>,
        shown: Vec<(usize, View, SecretBuffer)>,
    ) -> Result<Vec<ThreadItem>, Error> {
        let less = shown
            .iter()
            .filter(|(_, view, _)| *view == View::RedactedTranscript);
        let less = less.filter_map(|(at, ..)| items.get(*at));
        let less: Vec<&Recording> = less.map(|item| &item.recording).collect();
        let context = self.context(&less).await?;
        let rulebook = Arc::clone(&self.rulebook);
        let written = tokio::task::spawn_blocking(move || {
            let texts = views::in_views(&items, &shown, context, &rulebook)?;
            for (at, text) in texts {
                items.get_mut(at)?.content = ThreadContent::Shown(text);
            }
            Some(items)
        });
        let written = written.await.ok().flatten();
        Ok(written.ok_or(vault::Error::BrokenTranscript)?)
    }
}

/// Returns the items whose participants are opened with their text: for each author the first whose
/// view shows them. They are the same in all, as far as they were known.
fn showing_parties(items: &[ThreadItem], allowed: &[Allowed]) -> BTreeSet<usize> {
    let mut authors: BTreeSet<Option<&LegName>> = BTreeSet::new();
    let mut showing = BTreeSet::new();
    for allowed in allowed {
        if !allowed.grant.view().gives(Artefact::Parties) {
            continue;
        }
        let author = items
            .get(allowed.at)
            .map(|item| item.recording.author.as_ref());
        if author.is_some_and(|author| authors.insert(author)) {
            showing.insert(allowed.at);
        }
    }
    showing
}

impl ThreadPage {
    /// Releases the page in an output format. The stream ends with an error when anything of the page
    /// may not be given any more: a message of it is shredded, or closed, or the grant ends.
    pub fn release<W>(
        self,
        written: W,
    ) -> Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<W>>
    where
        W: AsRef<[u8]> + Send + 'static,
    {
        let written = Bytes::from_owner(written);
        let starts = (0..written.len()).step_by(PIECE);
        let pieces: Vec<_> = starts
            .map(|start| Ok::<_, Ended>(written.slice(start..(start + PIECE).min(written.len()))))
            .collect();
        passed_on(self.guard, stream::iter(pieces))
    }
}
