//! Consent requested in a call: the next instruction for the call, and the effects of its answers.
//!
//! Owns the order: an answer is durable before anything is recorded because of it. Refuses to know
//! TwiML and URLs.
//!
//! INVARIANTS
//! - A recording begins only after a positive answer that is in the database. If anything fails on
//!   our side, the call goes on and is not recorded.
//! - The announcement "This call is recorded" is made once the recording has begun, and not while a
//!   party is still to be asked.
//! - An answer counts for the text that was spoken. An answer that was given under another policy
//!   file is requested again.
//! - Silence is neither consent nor a statement: it is not recorded as a refusal.
//! - An answer that is delivered again is the same statement.

mod answer;

use std::{sync::Arc, time::Duration};

use self::answer::{GivenAnswer, understand};
use super::{
    ConsentRegister,
    parties::PartyRegister,
    statement::{About, NewStatement},
};
use crate::{
    db::{Db, consents, parties},
    flow::{error::Error, twilio_access::TwilioAccess},
    model::{
        consent::{Answer, RECORDING},
        name::LegName,
        sid::{AccountSid, CallSid},
        subject::{Address, Conversation, PartyScope},
        text::Reference,
        time::Clock,
    },
    policy::{Basis, Consents, Permit, Rulebook, Rules, Spoken, Understood, VoiceConsent, action},
    twilio::{
        Connect, RestError, VoiceRequest,
        voice::{CALLEE, CALLER, POLICY_DIGITS},
    },
};

/// The time limit for storing an answer. Twilio waits for 15 seconds, while the caller hears
/// silence.
const PATIENCE: Duration = Duration::from_secs(4);
/// The time limit for Twilio to begin a recording.
const START_PATIENCE: Duration = Duration::from_secs(4);
/// The longest time that one step of the question takes.
pub const CONSENT_STEP_LIMIT: Duration = PATIENCE.saturating_add(START_PATIENCE);

/// The next instruction for a call.
#[derive(Debug)]
pub enum Instruction<'a> {
    /// Ask for consent.
    Ask {
        /// The prompt, and the accepted answers.
        spoken: &'a Spoken,
        /// Seconds of silence that end the attempt.
        patience_s: u8,
        /// The number of this attempt, from 1.
        attempt: u8,
        /// The beginning of the digest of the policy file with the prompt.
        policy: &'a str,
    },
    /// Continue the call: nothing more is asked.
    CallEnd(CallEnd<'a>),
}

/// The continuation of a call.
#[derive(Debug)]
pub struct CallEnd<'a> {
    /// The language of the continuation.
    pub language: Option<&'a Spoken>,
    /// The announcement to make first, in that language.
    pub says: Option<&'a str>,
    /// Whether this call is recorded from now on.
    pub records: bool,
    /// The step after the announcement.
    pub then: NextStep,
}

/// The step after the last question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Connect the call according to the settings.
    Connect {
        /// The leg of the callee, if the callee is asked before both are joined.
        asks: Option<LegName>,
    },
    /// Join both calls, which Twilio does.
    Join,
    /// Hang up: no setting says where to connect the call.
    HangUp,
}

/// Asks for consent in a call.
pub struct CallConsent {
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    consents: Arc<ConsentRegister>,
    parties: Arc<PartyRegister>,
}

impl CallConsent {
    pub(in crate::flow) fn new(
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        consents: Arc<ConsentRegister>,
        parties: Arc<PartyRegister>,
    ) -> Self {
        Self {
            db,
            rulebook,
            clock,
            twilio,
            consents,
            parties,
        }
    }

    /// Returns the next instruction for a call. `callback` is the URL for Twilio's callbacks about
    /// a recording that begins here.
    ///
    /// Never returns an error: a call must not end because the vault cannot store something. In
    /// that case it is not recorded.
    pub async fn instruct<'a>(&'a self, request: &VoiceRequest, callback: &str) -> Instruction<'a> {
        let rules = self.rulebook.current();
        let accounts = self.twilio.accounts();
        let then = match accounts.connect() {
            _ if request.is_whisper => NextStep::Join,
            Some(_) => NextStep::Connect { asks: None },
            None => NextStep::HangUp,
        };
        // Before its effective date a policy allows nothing, so there is nothing to consent to.
        let asked = rules
            .document()
            .consent
            .voice
            .as_ref()
            .filter(|_| rules.is_in_force(self.clock.now()));
        let asked =
            asked.and_then(|voice| Some((voice, voice.spoken(request.step.language.as_deref())?)));
        let Some((voice, spoken)) = asked else {
            return over(None, None, false, then);
        };
        if then == NextStep::HangUp {
            tracing::error!(
                "a call was not asked for consent and ends: neither `twilio.consent.connect_url` \
                 nor `twilio.consent.connect_to` is set"
            );
            return over(Some(spoken), Some(&spoken.declined), false, then);
        }
        let policy = rules.digest().get(..POLICY_DIGITS).unwrap_or_default();
        let ask = |attempt: u8| match attempt {
            attempt if attempt <= voice.attempts => Instruction::Ask {
                spoken,
                patience_s: voice.patience_s,
                attempt,
                policy,
            },
            _ => {
                count("none");
                over(Some(spoken), Some(&spoken.declined), false, then.clone())
            }
        };
        let step = &request.step;
        if !step.answers {
            if request.is_whisper && step.attempt == 1 {
                // The callee is joined whatever the answer. Named now, so that an unnamed party
                // cannot be taken for one who consented.
                heard_or_logged(in_time(self.name_people(request, None)).await);
            }
            return ask(step.attempt);
        }
        if step.policy.as_deref() != Some(policy) {
            return ask(1);
        }
        let (understood, given) = understand(request, voice, spoken);
        match understood {
            Understood::Unclear => ask(step.attempt.saturating_add(1)),
            Understood::No => {
                count("no");
                let told = self.answered(request, voice, spoken, Answer::Declined, given);
                heard_or_logged(in_time(self.record(&request.account, told)).await);
                heard_or_logged(in_time(self.name_people(request, None)).await);
                over(Some(spoken), Some(&spoken.declined), false, then)
            }
            Understood::Yes => {
                count("yes");
                match in_time(self.agree(request, voice, spoken, given, accounts.connect())).await {
                    Ok(is_new) => {
                        self.agreed(request, rules, spoken, is_new, callback, accounts.connect())
                            .await
                    }
                    Err(error) => {
                        count("lost");
                        tracing::error!(%error, "a yes is not stored; the call is not recorded");
                        over(Some(spoken), Some(&spoken.declined), false, then)
                    }
                }
            }
        }
    }

    /// Stores a positive answer with the parties. Returns whether it is new.
    async fn agree(
        &self,
        request: &VoiceRequest,
        voice: &VoiceConsent,
        spoken: &Spoken,
        given: GivenAnswer,
        connect: Option<&Connect>,
    ) -> Result<bool, Error> {
        self.name_people(request, connect).await?;
        let told = self.answered(request, voice, spoken, Answer::Given, given);
        self.record(&request.account, told).await
    }

    /// Names the parties as far as they are known here: the one who is asked, the one who dialled,
    /// and the one who will be dialled.
    async fn name_people(
        &self,
        request: &VoiceRequest,
        connect: Option<&Connect>,
    ) -> Result<(), Error> {
        self.name_party(request, request.leg.clone(), request.address.clone())
            .await?;
        match connect {
            _ if request.is_whisper => self.name_party(request, place(CALLER), None).await,
            Some(Connect::To { address, .. }) => {
                self.name_party(request, place(CALLEE), address.clone())
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Returns the continuation of a call after a positive answer.
    async fn agreed<'a>(
        &'a self,
        request: &VoiceRequest,
        rules: &'a Rules,
        spoken: &'a Spoken,
        is_new: bool,
        callback: &str,
        connect: Option<&Connect>,
    ) -> Instruction<'a> {
        if request.is_whisper {
            let says: Option<&str> = if request.step.waits_for_both && is_new {
                let begun = self.begin_together(request, callback).await;
                Some(if begun {
                    &spoken.agreed
                } else {
                    &spoken.declined
                })
            } else {
                // It has begun or not: other systems may record this call, too.
                self.is_recorded(request).await.then_some(&*spoken.agreed)
            };
            return over(Some(spoken), says, false, NextStep::Join);
        }
        let asks = match connect {
            Some(Connect::To { ask, .. }) => {
                ask.unwrap_or(rules.document().collection.basis == Some(Basis::Consent))
            }
            Some(Connect::Url(_)) | None => false,
        };
        let then = NextStep::Connect {
            asks: asks.then(|| place(CALLEE)),
        };
        let records = !asks && !request.step.waits_for_both;
        over(
            Some(spoken),
            records.then_some(&*spoken.agreed),
            records,
            then,
        )
    }

    /// Returns whether Twilio reports that the dialling call is being recorded now.
    async fn is_recorded(&self, request: &VoiceRequest) -> bool {
        let accounts = self.twilio.accounts();
        let call = request.conversation();
        let Some(account) = accounts.get(&request.account) else {
            return false;
        };
        match tokio::time::timeout(
            START_PATIENCE,
            self.twilio.client.recordings_of_call(account, call),
        )
        .await
        {
            Ok(Ok(found)) => found
                .iter()
                .any(|recording| recording.status == "in-progress"),
            Ok(Err(error)) => {
                tracing::warn!(%error, %call, "recording state unknown; nothing is announced");
                false
            }
            Err(_) => {
                tracing::warn!(%call, "recording state not known in time; nothing is announced");
                false
            }
        }
    }

    /// Starts recording the dialling call if all its parties have consented. Returns whether to
    /// announce the recording; if its state is unknown, it is announced.
    async fn begin_together(&self, request: &VoiceRequest, callback: &str) -> bool {
        let call = request.conversation();
        match in_time(self.all_agree(&request.account, call)).await {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                tracing::error!(
                    %error, %call,
                    "consent of all parties cannot be looked up; the call is not recorded"
                );
                return false;
            }
        }
        let accounts = self.twilio.accounts();
        let Some(account) = accounts.get(&request.account) else {
            return false;
        };
        match tokio::time::timeout(
            START_PATIENCE,
            self.twilio.client.start_recording(account, call, callback),
        )
        .await
        {
            Ok(Ok(_)) => true,
            Ok(Err(RestError::Transient { cause })) => {
                tracing::error!(
                    %cause, %call,
                    "it is unknown whether Twilio records a call to which all parties consented"
                );
                true
            }
            Err(_) => {
                tracing::error!(
                    %call,
                    "Twilio did not answer in time: a call with all consents may not be recorded"
                );
                true
            }
            Ok(Err(error)) => {
                tracing::error!(
                    %error, %call,
                    "Twilio does not record a call to which all parties consented"
                );
                false
            }
        }
    }

    /// Returns whether all known parties of this call consent to a recording from now on.
    async fn all_agree(&self, account: &AccountSid, call: &CallSid) -> Result<bool, Error> {
        let conversation = [Conversation::Call(call.clone())];
        let mut tx = self.db.read().await?;
        let parties = parties::of(&mut tx, &PartyScope::from(account), &conversation)
            .await?
            .into_values()
            .flatten()
            .collect::<Vec<_>>();
        let subjects: Vec<_> = parties.iter().filter_map(|party| party.subject).collect();
        let statements = consents::find(&mut tx, &subjects, &conversation).await?;
        let counting = statements.into_iter().filter(|row| row.counts_for(account));
        let statements = counting.map(|row| row.statement).collect();
        let recording = RECORDING.parse().expect("it is a name");
        Ok(Consents {
            parties,
            statements,
        }
        .cover_from_now(call, &recording, self.clock.now()))
    }

    /// Names a party. A party that was named on this leg before stays: the answer belongs to the
    /// leg.
    async fn name_party(
        &self,
        request: &VoiceRequest,
        leg: LegName,
        address: Option<Address>,
    ) -> Result<(), Error> {
        let conversation = Conversation::Call(request.conversation().clone());
        match self
            .parties
            .name(
                &Permit::of_vault_for(action::Consent, &request.account),
                &conversation,
                &[(leg, address)],
            )
            .await
        {
            Ok(_) | Err(Error::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Records a statement. Returns whether it is new.
    /// It counts for the account that asked.
    async fn record(&self, account: &AccountSid, told: NewStatement) -> Result<bool, Error> {
        let permit = Permit::of_vault_for(action::Consent, account);
        let recorded = self.consents.record(&permit, vec![told]).await?;
        Ok(recorded.fresh > 0)
    }

    fn answered(
        &self,
        request: &VoiceRequest,
        voice: &VoiceConsent,
        spoken: &Spoken,
        answer: Answer,
        given: GivenAnswer,
    ) -> NewStatement {
        let VoiceRequest {
            account,
            call,
            leg,
            step,
            ..
        } = request;
        let conversation = Conversation::Call(request.conversation().clone());
        let place = format!(
            "Twilio call {call}, attempt {} in {}",
            step.attempt, spoken.language
        );
        // Recognised speech is external input; an answer must not be lost because of a character in
        // it.
        let evidence = Reference::cut(&format!("{place}: {}", given.evidence))
            .or_else(|_| Reference::cut(&place));
        NewStatement {
            about: About::Place(conversation, Some(leg.clone())),
            purposes: voice.purposes.iter().cloned().collect(),
            answer,
            method: given.method,
            evidence: evidence.ok(),
            disclosure: Some(super::disclosed(&spoken.text)),
            policy_version: None,
            at: None,
            once: Some(format!(
                "call/{account}/{call}/{leg}/{}/{}",
                step.attempt,
                step.policy.as_deref().unwrap_or_default()
            )),
        }
    }
}

fn over<'a>(
    language: Option<&'a Spoken>,
    says: Option<&'a str>,
    records: bool,
    then: NextStep,
) -> Instruction<'a> {
    Instruction::CallEnd(CallEnd {
        language,
        says,
        records,
        then,
    })
}

/// Returns a leg of a call.
fn place(name: &str) -> LegName {
    name.parse().expect("the places of this file are names")
}

fn count(answer: &'static str) {
    metrics::counter!("recvault_consent_answers_total", "answer" => answer).increment(1);
}

/// The reason why an operation was not completed.
#[derive(Debug, thiserror::Error)]
enum Undone {
    #[error(transparent)]
    Failed(#[from] Error),
    #[error("it took too long")]
    Late,
}

fn heard_or_logged<T>(done: Result<T, Undone>) {
    if let Err(error) = done {
        tracing::error!(%error, "an answer is not stored; the call is not recorded");
    }
}

async fn in_time<T: Send>(
    doing: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Undone> {
    Ok(tokio::time::timeout(PATIENCE, doing)
        .await
        .map_err(|_| Undone::Late)??)
}
