//! Whether media is given to strangers
//! (<https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file>).
//!
//! Owns the one request that is made without a credential on purpose. Old accounts may have
//! "Enforce HTTP Auth on Media URLs" switched off; then whoever knows a recording's address can
//! hear it.

use reqwest::StatusCode;

use super::{Account, RestError, TwilioClient, status_error};
use crate::{model::sid::RecordingSid, twilio::fetch_error::transient_failure};

impl TwilioClient {
    /// Whether a stranger is turned away from a recording's sound. Nothing of the sound is read.
    ///
    /// # Errors
    /// [`RestError::NotFound`] if it cannot be told, because a stranger is told that there is
    /// nothing.
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
            // Where the audio is.
            status if status.is_redirection() => Ok(false),
            status => status_error(status, response.headers()).map_or(Ok(false), Err),
        }
    }
}
