//! Whether media is given to strangers
//! (<https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file>).
//!
//! Owns the one request that is made without a credential on purpose. Old accounts may have
//! "Enforce HTTP Auth on Media URLs" switched off; then whoever knows a recording's address can
//! hear it.

use reqwest::StatusCode;

use super::{Account, RestError, TwilioClient};
use crate::{
    model::sid::RecordingSid,
    twilio::fetch_error::{Hiccup, hiccup, retry_after},
};

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
        self.turns.wait().await;
        let request = self
            .http
            .get(account.own_url(&format!("/Recordings/{sid}.wav")).url);
        let response = request.send().await.map_err(|error| RestError::Transient {
            cause: hiccup(&error, 0),
        })?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(true),
            // The sound, or where it is.
            status if status.is_success() || status.is_redirection() => Ok(false),
            StatusCode::NOT_FOUND => Err(RestError::NotFound),
            StatusCode::TOO_MANY_REQUESTS => Err(RestError::Throttled {
                retry_after: retry_after(response.headers()),
            }),
            status if status.is_server_error() => Err(RestError::Transient {
                cause: Hiccup::Status(status.as_u16()),
            }),
            status => Err(RestError::Refused {
                status: status.as_u16(),
                code: None,
            }),
        }
    }
}
