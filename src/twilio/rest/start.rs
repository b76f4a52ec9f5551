//! Beginning to record a call that goes on
//! (<https://www.twilio.com/docs/voice/api/recording#create-a-recording-resource>).

use super::{Account, RestError, TwilioClient};
use crate::{model::sid::CallSid, twilio::twiml::RECORDING_EVENTS};

impl TwilioClient {
    /// Begins to record both sides of a call, each on its own channel; `callback` is told what
    /// becomes of it. Not harmless twice: that makes two recordings.
    pub async fn start_recording(
        &self,
        account: &Account,
        call: &CallSid,
        callback: &str,
    ) -> Result<(), RestError> {
        let events = RECORDING_EVENTS
            .split(' ')
            .map(|event| ("RecordingStatusCallbackEvent", event));
        let form: Vec<(&str, &str)> = [
            ("RecordingStatusCallback", callback),
            ("RecordingStatusCallbackMethod", "POST"),
            ("RecordingChannels", "dual"),
        ]
        .into_iter()
        .chain(events)
        .collect();
        self.post(
            account,
            account.account_url(&format!("/Calls/{call}/Recordings.json")),
            &form,
        )
        .await
    }
}
