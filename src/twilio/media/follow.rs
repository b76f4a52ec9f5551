//! A request for a file, through its redirects.
//!
//! Owns the hops: each is checked anew (`redirect`). INVARIANT: the credential goes only to the
//! file's own path at its interface. No error holds an address.

use reqwest::{Response, Url, header::LOCATION};

use super::redirect::{self, MediaOrigin};
use crate::{
    secret::SecretText,
    twilio::{
        client::TwilioClient,
        fetch_error::{FetchError, FetchRefusal, MAX_REDIRECTS, transient_failure},
    },
};

impl TwilioClient {
    /// Sends a GET and follows permitted redirects. Returns the first answer that is none.
    pub(super) async fn follow(
        &self,
        origin: &MediaOrigin<'_>,
        first: Url,
        credential: (&str, &SecretText),
    ) -> Result<Response, FetchError> {
        let mut url = first;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.http.get(url.clone());
            if redirect::may_carry_credential(origin, &url) {
                let (user, password) = credential;
                request = request.basic_auth(user, Some(password.expose()));
            }
            let sent = request.send().await;
            let response = sent.map_err(|error| transient_failure(&error, 0))?;
            if !redirect::is_redirect(response.status()) {
                return Ok(response);
            }

            let location = response.headers().get(LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            url = redirect::target(origin, &url, location)?;
        }
        Err(FetchRefusal::TooManyRedirects.into())
    }
}
