//! A message: what it says about consent, by what the policy says it means.
//!
//! Owns what follows from one. Refuses to keep a word of it. INVARIANT: a message that no rule is
//! for changes nothing; one that is delivered again changes nothing more.

use std::sync::Arc;

use super::{
    ConsentRegister,
    statement::{About, NewStatement},
};
use crate::{
    db::{Db, parties},
    flow::error::Error,
    model::{
        consent::{Answer, Method},
        text::Reference,
        time::Clock,
    },
    policy::{Permit, Rulebook, action},
    twilio::IncomingMessage,
    vault::Vault,
};

/// Follows the reply to somebody who is a party of no conversation that is known here.
const NOTHING_FOUND: &str = " No recording with this number was found. If you were called on another number, write from that one.";

/// Hears what people say of consent in messages.
pub struct MessageConsent {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    consents: Arc<ConsentRegister>,
}

impl MessageConsent {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        consents: Arc<ConsentRegister>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            consents,
        }
    }

    /// Takes in a message: what it says is durable when this returns. The reply, if there is one.
    ///
    /// No reply where Twilio says that it took the message for an opt-out or the like: it answers
    /// itself, and nothing else gets through.
    ///
    /// # Errors
    /// The database's: what the message says is not recorded.
    pub async fn take(&self, message: &IncomingMessage) -> Result<Option<String>, Error> {
        let rules = self.rulebook.current();
        let rule = rules
            .document()
            .consent
            .rule_for(message.keyword, &message.body);
        let (Some(rule), Some(from)) = (rule, &message.from) else {
            return Ok(None);
        };
        // Before its day a policy allows nothing; a no counts whenever it is said.
        let counts =
            |answer: &Answer| *answer != Answer::Given || rules.is_in_force(self.clock.now());
        let mut reply = rule.reply.clone().filter(|_| message.keyword.is_none());
        if let Some(answer) = rule.answer.filter(counts) {
            let told = NewStatement {
                about: About::Person(from.clone()),
                purposes: rule.purposes.iter().cloned().collect(),
                answer,
                method: Method::Sms,
                evidence: Reference::cut(&format!("Twilio message {}", message.sid.as_str())).ok(),
                disclosure: None,
                policy_version: None,
                at: None,
                once: Some(format!(
                    "message/{}/{}",
                    message.account,
                    message.sid.as_str()
                )),
            };
            self.consents
                .record(&Permit::of_vault(action::Consent), vec![told])
                .await?;
            metrics::counter!("recvault_consent_messages_total", "answer" => answer.as_str())
                .increment(1);
        }
        let lets_go = matches!(rule.answer, Some(Answer::Withdrawn | Answer::Declined));
        if let (Some(reply), true) = (&mut reply, lets_go) {
            let is_known =
                parties::is_anybody(&mut self.db.read().await?, self.vault.subject(from)).await?;
            if !is_known {
                // A reply that says what becomes of recordings would be believed by somebody who is
                // known here by another number.
                reply.push_str(NOTHING_FOUND);
            }
        }
        Ok(reply)
    }
}
