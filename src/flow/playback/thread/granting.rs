//! Grants over a conversation.

use crate::{
    db::{
        self,
        grants::{self, GrantRow},
        recordings::{self, RecordingFilter, RecordingSort},
    },
    evidence::NewEntry,
    flow::{
        asking::{Asking, Circumstances},
        error::Error,
        playback::Playback,
        refusal::refuse,
    },
    model::{
        access::Principal,
        id::GrantId,
        name::Purpose,
        recording::{Recording, RecordingState},
        subject::Conversation,
        time::Timestamp,
    },
    policy::{Decision, DecisionFacts, Denial, Grant, decide},
    secret::{Token, TokenKind},
};

/// Recordings decided about at a time.
const AT_ONCE: i64 = 200;

/// A new grant over a conversation. Its token is visible only here.
pub struct IssuedThreadGrant {
    /// The grant's id.
    pub id: GrantId,
    /// The conversation.
    pub conversation: Conversation,
    /// The purpose.
    pub purpose: Purpose,
    /// SHA-256 of the deciding policy file.
    pub policy_digest: String,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Its token, which is part of the addresses.
    pub token: Token,
}

impl Playback {
    /// Decides a request to read a conversation, records the decision, and gives a grant if at least
    /// one of its messages is allowed now. Each message is decided again when it is read.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is nothing of which the principal may know;
    /// [`Error::Conflict`] if nothing was written in it; [`Error::Denied`] or [`Error::Shredded`]
    /// with the reasons against its latest message.
    pub async fn grant_thread(
        &self,
        principal: &Principal,
        conversation: &Conversation,
        asking: &Asking<'_>,
    ) -> Result<IssuedThreadGrant, Error> {
        let now = self.clock.now();
        let mut filter = RecordingFilter {
            conversation: Some(conversation.clone()),
            accounts: principal.accounts.clone(),
            sort: RecordingSort::NewestRecorded,
            ..RecordingFilter::default()
        };
        let mut refused: Option<(Recording, Denial)> = None;
        let mut is_known = false;
        loop {
            let mut tx = self.db.read().await?;
            let page = recordings::list(&mut tx, &filter, AT_ONCE).await?;
            let mut circumstances = Circumstances::gather_in(
                &mut tx,
                principal,
                conversation,
                &page,
                &asking.purpose,
                now,
            )
            .await?;
            drop(tx);
            filter.after = page.last().map(|last| filter.sort.place(last));
            for recording in page {
                let Some(circumstances) = circumstances.remove(&recording.id) else {
                    continue;
                };
                let facts = circumstances.asked(principal, &recording, asking);
                let is_written = recording.kind().is_written();
                match decide(&facts, &self.rulebook, now) {
                    Decision::Deny(denial) if denial.is_hidden() => {}
                    Decision::Allow(grant) if is_written => {
                        return self.give_thread(&facts, &grant, conversation).await;
                    }
                    Decision::Deny(denial) if is_written => {
                        // Of several, that against the latest that is still there.
                        let is_better = refused.as_ref().is_none_or(|(other, _)| {
                            other.state == RecordingState::Shredded
                                && recording.state != RecordingState::Shredded
                        });
                        if is_better {
                            refused = Some((recording, denial));
                        }
                    }
                    _ => is_known = true,
                }
            }
            if filter.after.is_none() {
                break;
            }
        }
        match refused {
            Some((recording, denial)) => {
                let facts = DecisionFacts {
                    justification: asking.justification,
                    ticket: asking.ticket.as_ref(),
                    ..DecisionFacts::new(principal, &recording, asking.purpose.clone())
                };
                Err(refuse(&self.db, self.clock.now(), &facts, None, denial).await?)
            }
            None if is_known => Err(Error::Conflict(
                "nothing was written in this conversation; request a grant for one of its recordings"
                    .into(),
            )),
            None => Err(Error::NotFound),
        }
    }

    async fn give_thread(
        &self,
        facts: &DecisionFacts<'_>,
        grant: &Grant,
        conversation: &Conversation,
    ) -> Result<IssuedThreadGrant, Error> {
        let id = GrantId::random(&mut rand::rng());
        let token = Token::random(TokenKind::Grant, &mut rand::rng());
        let now = self.clock.now();
        let row = GrantRow {
            id,
            hash: token.hash().as_str().to_owned(),
            object: conversation.clone().into(),
            account: facts.recording.account().clone(),
            token: grant.credential(),
            purpose: grant.purpose().clone(),
            justified: grant.is_justified(),
            ticket: facts.ticket.cloned(),
            break_glass: false,
            policy_digest: grant.policy_digest().to_owned(),
            issued_at: now,
            expires_at: grant.expires_at(),
            opened_at: None,
            approval: None,
            ended_at: None,
        };
        let allowed =
            NewEntry::conversation_allowed(now, grant, id, conversation).with_request(facts);
        self.db
            .unit("playback.give_thread", async |mut unit| {
                grants::insert(&mut unit, &row).await?;
                unit.audit(allowed.clone());
                Ok::<_, db::Error>(())
            })
            .await?;
        Ok(IssuedThreadGrant {
            id,
            conversation: conversation.clone(),
            purpose: row.purpose,
            policy_digest: row.policy_digest,
            expires_at: row.expires_at,
            token,
        })
    }
}
