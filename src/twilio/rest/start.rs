//! Starting the recording of a call in progress
//! (<https://www.twilio.com/docs/voice/api/recording#create-a-recording-resource>).

use super::{Account, RestError, TwilioClient};
use crate::{model::sid::CallSid, twilio::twiml::RECORDING_EVENTS};

impl TwilioClient {
    /// Starts recording both sides of a call, each on its own channel. `callback` receives the
    /// status of the recording. Not idempotent: a second request makes a second recording.
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
