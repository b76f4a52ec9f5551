//! Cross-origin access from browsers (CORS, in the Fetch standard).
//!
//! Owns the permitted origins, and the exposed headers: a dashboard requests grants, reads WebVTT,
//! and fetches parts of the audio for Web Audio. INVARIANT: cookies and other credentials of the
//! browser are never allowed, so that a page has only the tokens that it was given.

use std::{str::FromStr, time::Duration};

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;
use url::Url;

/// The time for which a browser caches the result of a preflight request.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The origin of a page: scheme, host, and the port if it is not the scheme's default (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq, serde_with::DeserializeFromStr)]
pub struct WebOrigin(HeaderValue);

/// The error of a text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {why}")]
pub struct InvalidOrigin {
    text: String,
    why: String,
}

impl FromStr for WebOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let fault = |why: String| InvalidOrigin {
            text: text.chars().take(64).collect(),
            why,
        };
        if text.contains('*') {
            return Err(fault(
                "every page that may call has a token: name each origin, like `https://dashboard.example.com`"
                    .into(),
            ));
        }
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| {
            fault("expected an origin, like `https://dashboard.example.com`".into())
        })?;
        // Browsers send this serialisation, and it is compared byte for byte.
        let origin = url.origin().ascii_serialization();
        if origin != text {
            return Err(fault(format!("not as browsers send it; write `{origin}`")));
        }
        let value = HeaderValue::from_str(text).expect("an ASCII origin is a header value");
        Ok(Self(value))
    }
}

impl std::fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Returns the layer that permits these origins; `None` if there are none.
pub(super) fn layer(origins: &[WebOrigin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(
            origins
                .iter()
                .map(|origin| origin.0.clone())
                .collect::<Vec<_>>(),
        )
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::IF_RANGE,
            header::RANGE,
            HeaderName::from_static("idempotency-key"),
        ])
        // Besides the headers that every page may read (Fetch, section 3.3.3).
        .expose_headers([
            header::ACCEPT_RANGES,
            header::ALLOW,
            header::CONTENT_DISPOSITION,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ETAG,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            HeaderName::from_static("idempotent-replayed"),
        ])
        .max_age(REMEMBERED);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in [
            "https://dashboard.example.com",
            "http://localhost:3000",
            "https://[2001:db8::1]:8443",
            "https://xn--grn-hoa.example",
        ] {
            assert_eq!(
                good.parse::<WebOrigin>().map(|origin| origin.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "*",
            "null",
            "https://*.example.com",
            "dashboard.example.com",
            "https://dashboard.example.com/",
            "https://dashboard.example.com/page",
            "https://dashboard.example.com:443",
            "https://Dashboard.example.com",
            "https://somebody@dashboard.example.com",
            "ftp://dashboard.example.com",
            "file:///page.html",
            "https://grün.example",
        ] {
            let error = bad.parse::<WebOrigin>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{bad}`: ")), "{error}");
        }
    }
}
