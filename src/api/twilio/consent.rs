//! Consent over Twilio: the answers to calls and messages, as TwiML.
//!
//! Owns the URLs in the TwiML. Refuses to know the meaning of an answer. INVARIANT: a signed
//! request of a call is answered with TwiML with which the call continues, whatever fails in the
//! vault.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};

use super::{Api, Problem, signed::Signed};
use crate::{
    flow::{CallEnd, Instruction, NextStep},
    policy::{Rules, Spoken},
    secret::SecretText,
    twilio::{
        Account, Connect, IncomingMessage, PublicUrl, VoiceRequest,
        signature::Verified,
        twiml::{self, Dial, Gather, StartRecording, TwimlSay, Verb},
    },
};

/// Requests consent in a call: Twilio fetches TwiML here when the call arrives, and after each
/// answer.
///
/// The query may contain `language`, `leg` (`callee` in the URL of `<Number>`) and `record=both`.
#[utoipa::path(post, path = "/twilio/consent/voice", operation_id = "handleVoiceConsent", tag = "twilio",
    params(("language" = Option<String>, Query, description = "which of the policy's languages; the first one if not given"),
        ("leg" = Option<String>, Query, description = "the place of who hears it, where it is heard before two calls are joined: `callee`"),
        ("record" = Option<String>, Query, description = "`both`: a recording begins only after who is dialled has agreed as well")),
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = String, content_type = "text/xml"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(in crate::api) async fn voice_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<Response, Problem> {
    call(&api, &verified).await
}

/// The same with everything in the query.
#[utoipa::path(get, path = "/twilio/consent/voice", operation_id = "handleVoiceConsentByGet", tag = "twilio",
    responses((status = 200, body = String, content_type = "text/xml"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(in crate::api) async fn voice_got(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<Response, Problem> {
    call(&api, &verified).await
}

/// Receives a message.
///
/// A statement of consent, as defined by the policy, is durable before the answer.
#[utoipa::path(post, path = "/twilio/messages", operation_id = "receiveMessage", tag = "twilio",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = String, content_type = "text/xml"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(in crate::api) async fn message_posted(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<Response, Problem> {
    message(&api, &verified).await
}

/// The same with everything in the query.
#[utoipa::path(get, path = "/twilio/messages", operation_id = "receiveMessageByGet", tag = "twilio",
    responses((status = 200, body = String, content_type = "text/xml"), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(in crate::api) async fn message_got(
    State(api): State<Api>,
    Signed(verified): Signed,
) -> Result<Response, Problem> {
    message(&api, &verified).await
}

async fn call(api: &Api, verified: &Verified) -> Result<Response, Problem> {
    let request =
        VoiceRequest::parse(verified).map_err(|fault| Problem::bad_request(fault.to_string()))?;
    let accounts = api.flow.twilio.accounts();
    let secret = accounts
        .get(&request.account)
        .and_then(Account::callback_secret);
    let links = Links::new(&api.public, secret, api.flow.rulebook.current(), &request);
    let said = match api.flow.calls.instruct(&request, &links.recordings()).await {
        Instruction::Ask {
            spoken,
            patience_s,
            attempt,
            policy,
        } => ask(&links, spoken, patience_s, attempt, policy),
        Instruction::CallEnd(over) => go_on(api, &links, over),
    };
    Ok(xml(&said))
}

async fn message(api: &Api, verified: &Verified) -> Result<Response, Problem> {
    let message = IncomingMessage::parse(verified)
        .map_err(|fault| Problem::bad_request(fault.to_string()))?;
    api.flow.message_intake.keep(&message).await?;
    let reply = api.flow.messages.take(&message).await?;
    Ok(xml(
        &twiml::Response::default().with_any(reply.map(Verb::Message))
    ))
}

fn xml(said: &twiml::Response) -> Response {
    (
        [(header::CONTENT_TYPE, "text/xml; charset=utf-8")],
        said.to_string(),
    )
        .into_response()
}

fn ask(
    links: &Links,
    spoken: &Spoken,
    patience_s: u8,
    attempt: u8,
    policy: &str,
) -> twiml::Response {
    let hints = spoken.hints().map(str::to_owned).collect();
    let action = links.step("answer", attempt, spoken, Some(policy));
    let gather = Gather {
        say: say(spoken, &spoken.text),
        action,
        timeout_s: patience_s,
        hints,
    };
    // Twilio continues here if there was no answer.
    let next = links.step("ask", attempt.saturating_add(1), spoken, None);
    twiml::Response::default()
        .with(Verb::Gather(gather))
        .with(Verb::Redirect(next))
}

fn go_on(api: &Api, links: &Links, over: CallEnd<'_>) -> twiml::Response {
    let recording = over.records.then(|| {
        Verb::StartRecording(StartRecording {
            callback: links.recordings(),
        })
    });
    let says = over
        .language
        .zip(over.says)
        .map(|(spoken, text)| Verb::Say(say(spoken, text)));
    let accounts = api.flow.twilio.accounts();
    let last = match (over.then, accounts.connect()) {
        (NextStep::Join, _) => None,
        (NextStep::Connect { .. }, Some(Connect::Url(url))) => {
            Some(Verb::Redirect(url.to_string()))
        }
        (NextStep::Connect { asks }, Some(Connect::To { endpoint, .. })) => {
            let whisper = asks.map(|leg| links.whisper(leg.as_str(), over.language));
            Some(Verb::Dial(Dial {
                to: endpoint.clone(),
                whisper,
            }))
        }
        (NextStep::Connect { .. }, None) | (NextStep::HangUp, _) => Some(Verb::Hangup),
    };
    twiml::Response::default()
        .with_any(recording)
        .with_any(says)
        .with_any(last)
}

fn say(spoken: &Spoken, text: &str) -> TwimlSay {
    TwimlSay {
        text: text.to_owned(),
        language: spoken.language.clone(),
        voice: spoken.voice.clone(),
    }
}

/// Callback URLs for TwiML. They hold no personal data.
struct Links {
    /// The base URL, without `/consent/voice`; with the callback secret of the account, if it has
    /// one.
    base: String,
    /// The parameters of every step of this call, appended to other parameters.
    step_query: String,
    /// The parameters of its recording callback: those that the policy reads.
    policy_query: String,
}

impl Links {
    fn new(
        public: &PublicUrl,
        secret: Option<&SecretText>,
        rules: &Rules,
        request: &VoiceRequest,
    ) -> Self {
        let path = secret.map_or_else(
            || "/twilio".to_owned(),
            |secret| format!("/twilio/{}", secret.expose()),
        );
        // In a GET, Twilio's own parameters are in the query too and contain numbers; only
        // parameters that the policy reads are passed on.
        let policy_query = request.query.iter().filter(|(name, _)| rules.heeds(name));
        let policy_query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(policy_query)
            .finish();
        let mut step_query = if policy_query.is_empty() {
            String::new()
        } else {
            format!("&{policy_query}")
        };
        if request.is_whisper {
            step_query.push_str(&format!("&leg={}", request.leg));
        }
        if request.step.waits_for_both {
            step_query.push_str("&record=both");
        }
        Self {
            base: public.join(&path),
            step_query,
            policy_query,
        }
    }

    fn recordings(&self) -> String {
        let mark = if self.policy_query.is_empty() {
            ""
        } else {
            "?"
        };
        format!("{}/recordings{mark}{}", self.base, self.policy_query)
    }

    fn step(&self, step: &str, attempt: u8, spoken: &Spoken, policy: Option<&str>) -> String {
        let policy = policy.map_or_else(String::new, |policy| format!("&policy={policy}"));
        format!(
            "{}/consent/voice?step={step}&attempt={attempt}&language={}{policy}{}",
            self.base, spoken.language, self.step_query
        )
    }

    /// Returns the URL of the question that the callee hears before both calls are joined.
    fn whisper(&self, leg: &str, spoken: Option<&Spoken>) -> String {
        let language = spoken.map_or_else(String::new, |spoken| {
            format!("&language={}", spoken.language)
        });
        let mark = if self.policy_query.is_empty() {
            ""
        } else {
            "&"
        };
        format!(
            "{}/consent/voice?leg={leg}&record=both{language}{mark}{}",
            self.base, self.policy_query
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::voice::VoiceStep;

    fn request(is_whisper: bool) -> VoiceRequest {
        VoiceRequest {
            account: format!("AC{}", "0".repeat(32)).parse().unwrap(),
            call: format!("CA{}", "1".repeat(32)).parse().unwrap(),
            parent: None,
            leg: "callee".parse().unwrap(),
            is_whisper,
            address: "+493090182001".parse().ok(),
            digits: Some("1".into()),
            speech: None,
            confidence: None,
            step: VoiceStep {
                answers: true,
                attempt: 1,
                language: None,
                policy: None,
                waits_for_both: is_whisper,
            },
            query: Vec::new(),
        }
    }

    #[test]
    fn what_twilio_calls_carries_the_secret_of_the_account_and_nothing_about_anybody() {
        let public = "https://vault.example.com/base".parse().unwrap();
        let policy = crate::policy::Rules::parse("p", &crate::samples::asking()).unwrap();
        let spoken = policy
            .document()
            .consent
            .voice
            .as_ref()
            .unwrap()
            .spoken(None)
            .unwrap();
        let secret = SecretText::new("s".repeat(16));
        let links = Links::new(&public, Some(&secret), &policy, &request(true));
        assert_eq!(
            links.recordings(),
            "https://vault.example.com/base/twilio/ssssssssssssssss/recordings"
        );
        assert_eq!(
            links.step("answer", 2, spoken, Some("0123456789abcdef")),
            "https://vault.example.com/base/twilio/ssssssssssssssss/consent/voice?step=answer&attempt=2&language=en-US&policy=0123456789abcdef\
             &leg=callee&record=both"
        );
        let links = Links::new(&public, None, &policy, &request(false));
        assert_eq!(
            links.step("ask", 3, spoken, None),
            "https://vault.example.com/base/twilio/consent/voice?step=ask&attempt=3&language=en-US"
        );
        assert_eq!(
            links.whisper("callee", Some(spoken)),
            "https://vault.example.com/base/twilio/consent/voice?leg=callee&record=both&language=en-US"
        );
    }

    #[test]
    fn what_the_policy_looks_at_goes_on_with_the_call_and_its_recording() {
        let public = "https://vault.example.com".parse().unwrap();
        let policy = crate::policy::Rules::parse("p", &crate::samples::asking()).unwrap();
        let spoken = policy
            .document()
            .consent
            .voice
            .as_ref()
            .unwrap()
            .spoken(None)
            .unwrap();
        let query = [
            ("queue", "a&b"),
            ("From", "+493090182001"),
            ("tier", "restricted"),
            ("other", "x"),
        ];
        let query = query
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let links = Links::new(
            &public,
            None,
            &policy,
            &VoiceRequest {
                query,
                ..request(false)
            },
        );
        assert_eq!(
            links.recordings(),
            "https://vault.example.com/twilio/recordings?queue=a%26b&tier=restricted"
        );
        assert!(
            links
                .step("ask", 1, spoken, None)
                .ends_with("&language=en-US&queue=a%26b&tier=restricted")
        );
        assert!(
            links
                .whisper("callee", None)
                .ends_with("?leg=callee&record=both&queue=a%26b&tier=restricted")
        );
    }
}
