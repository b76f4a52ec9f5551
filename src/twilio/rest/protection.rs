//! The check that media requires a credential
//! (<https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file>).
//!
//! Owns the one request that deliberately carries no credential. In old accounts "Enforce HTTP Auth
//! on Media URLs" may be off; then anyone who knows a recording's address can listen to it.

use reqwest::StatusCode;

use super::{Account, RestError, TwilioClient, status_error};
use crate::{model::sid::RecordingSid, twilio::fetch_error::transient_failure};

impl TwilioClient {
    /// Whether a recording's audio is refused without a credential. The audio is not read.
    ///
    /// # Errors
    /// [`RestError::NotFound`] if Twilio answers 404 to a request without a credential, which
    /// proves neither.
    pub async fn media_is_protected(
        &self,
        account: &Account,
        sid: &RecordingSid,
    ) -> Result<bool, RestError> {
        self.limiter.wait().await;
        let request = self
            .http
            .get(account.account_url(&format!("/Recordings/{sid}.wav")).url);
        let response = request.send().await.map_err(|error| RestError::Transient {
            cause: transient_failure(&error, 0),
        })?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(true),
            // The redirect leads to the audio.
            status if status.is_redirection() => Ok(false),
            status => status_error(status, response.headers()).map_or(Ok(false), Err),
        }
    }
}
