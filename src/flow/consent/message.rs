//! Consent stated in a message, by the rules of the policy.
//!
//! Owns the effect of a message. Refuses to store its text. INVARIANT: a message without a matching
//! rule changes nothing; a message that is delivered again has no further effect.

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

/// Appended to the reply if the sender is not a party of any known conversation.
const NOTHING_FOUND: &str = " No recording with this number was found. If you were called on another number, write from that one.";

/// Handles statements of consent in messages.
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

    /// Handles a message: its statement is durable when this returns. Returns the reply, if any.
    ///
    /// There is no reply if Twilio marked the message as an opt-out or similar: Twilio answers it,
    /// and blocks other replies.
    ///
    /// # Errors
    /// Any database error; then the statement is not recorded.
    pub async fn take(&self, message: &IncomingMessage) -> Result<Option<String>, Error> {
        let rules = self.rulebook.current();
        let rule = rules
            .document()
            .consent
            .rule_for(message.keyword, &message.body);
        let (Some(rule), Some(from)) = (rule, &message.from) else {
            return Ok(None);
        };
        // Before its effective date a policy allows nothing; a refusal always counts.
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
                // A reply about recordings would mislead a sender who is known here by another
                // number.
                reply.push_str(NOTHING_FOUND);
            }
        }
        Ok(reply)
    }
}
