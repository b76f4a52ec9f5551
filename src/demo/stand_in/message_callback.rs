//! The webhook of an incoming message, the status callback of an outgoing one, and the events of both.

use serde_json::{Value, json};

use super::{
    Owned, StandIn, callback::SignedCallback, hours::iso8601, message::MessageFacts, new_sid,
};
use crate::model::sid::{AccountSid, MessageSid};

impl StandIn {
    /// Returns the parameters of the webhook for a message.
    ///
    /// # Panics
    /// If the message was not added.
    pub fn incoming_message_params(&self, sid: &MessageSid) -> Vec<(String, String)> {
        let (account, facts) = self.facts(sid);
        let mut params = ends(&account, sid, &facts);
        params.extend([
            ("SmsSid", sid.to_string()),
            ("SmsMessageSid", sid.to_string()),
            ("SmsStatus", facts.status),
            ("Body", facts.body),
            ("NumSegments", "1".to_owned()),
            ("NumMedia", facts.media.len().to_string()),
            ("ApiVersion", "2010-04-01".to_owned()),
        ]);
        let mut params = owned(params);
        for (number, file) in facts.media.iter().enumerate() {
            let url = format!(
                "https://api.twilio.com/2010-04-01/Accounts/{account}/Messages/{sid}/Media/{}",
                file.sid
            );
            params.push((
                format!("MediaContentType{number}"),
                file.content_type.clone(),
            ));
            params.push((format!("MediaUrl{number}"), url));
        }
        params.extend(facts.params);
        params
    }

    /// Returns the parameters of a status callback for a message.
    ///
    /// # Panics
    /// If the message was not added.
    pub fn message_status_params(&self, sid: &MessageSid, status: &str) -> Vec<(String, String)> {
        let (account, facts) = self.facts(sid);
        let mut params = ends(&account, sid, &facts);
        params.extend([
            ("SmsSid", sid.to_string()),
            ("SmsStatus", status.to_owned()),
            ("MessageStatus", status.to_owned()),
        ]);
        let is_failure = matches!(status, "failed" | "undelivered");
        if let Some(code) = facts.error_code.filter(|_| is_failure) {
            params.push(("ErrorCode", code.to_string()));
        }
        owned(params)
    }

    /// Returns the event of Event Streams about a message: `received` for one that came in, otherwise
    /// its status. It names no file. Where Message Redaction hides the text, the event has none.
    ///
    /// # Panics
    /// If the message was not added.
    pub fn message_event(&self, sid: &MessageSid, status: &str) -> Value {
        let (account, facts) = self.facts(sid);
        let at = iso8601(self.now());
        let is_hidden = self.world.state().behaviour.message_texts_are_redacted;
        let body = if is_hidden { "" } else { &facts.body };
        let (kind, schema, data) = if status == "received" {
            let data = json!({
                "messageSid": sid, "timestamp": at, "accountSid": account,
                "eventName": "com.twilio.messaging.inbound-message.received",
                "from": facts.from, "to": facts.to, "numMedia": facts.media.len(), "numSegments": 1,
                "body": body, "messagingServiceSid": facts.messaging_service, "recipients": facts.recipients,
            });
            (
                "inbound-message.received".to_owned(),
                "InboundMessageV1/6",
                data,
            )
        } else {
            let data = json!({
                "messageSid": sid, "timestamp": at, "accountSid": account,
                "from": facts.from, "to": facts.to, "messageStatus": status.to_uppercase(), "body": body,
                "errorCode": facts.error_code, "messagingServiceSid": facts.messaging_service,
            });
            (format!("message.{status}"), "MessageStatus/8", data)
        };
        json!({
            "specversion": "1.0", "type": format!("com.twilio.messaging.{kind}"), "source": format!("/{sid}"),
            "id": new_sid("EZ"), "time": at, "datacontenttype": "application/json",
            "dataschema": format!("https://events-schemas.twilio.com/Messaging.{schema}"), "data": data,
        })
    }

    /// Signs the webhook of a message for `url`.
    ///
    /// # Panics
    /// As [`Self::incoming_message_params`] and [`Self::callback`].
    pub fn message_callback(&self, sid: &MessageSid, url: &str) -> SignedCallback {
        let (account, _) = self.facts(sid);
        self.callback(&account, url, &self.incoming_message_params(sid))
    }

    /// Signs a status callback of a message for `url`.
    ///
    /// # Panics
    /// As [`Self::message_status_params`] and [`Self::callback`].
    pub fn message_status_callback(
        &self,
        sid: &MessageSid,
        status: &str,
        url: &str,
    ) -> SignedCallback {
        let (account, _) = self.facts(sid);
        self.callback(&account, url, &self.message_status_params(sid, status))
    }

    fn facts(&self, sid: &MessageSid) -> (AccountSid, MessageFacts) {
        let state = self.world.state();
        let Owned { account, facts, .. } = state.messages.get(sid).expect("the message was added");
        (account.clone(), facts.clone())
    }
}

fn ends(
    account: &AccountSid,
    sid: &MessageSid,
    facts: &MessageFacts,
) -> Vec<(&'static str, String)> {
    let mut params = vec![
        ("AccountSid", account.to_string()),
        ("MessageSid", sid.to_string()),
        ("From", facts.from.clone()),
        ("To", facts.to.clone()),
    ];
    let service = facts.messaging_service.as_ref();
    params.extend(service.map(|service| ("MessagingServiceSid", service.to_string())));
    params
}

fn owned(params: Vec<(&str, String)>) -> Vec<(String, String)> {
    params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
