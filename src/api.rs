//! HTTP for machines: translation only.
//!
//! Owns the route table, what a request must look like, and how each error reads (RFC 9457). Refuses to decide anything: a handler extracts,
//! calls one story of `flow`, and converts.

mod approvals;
mod audit;
mod catalogue;
mod consents;
mod corrections;
mod exports;
mod gate;
mod grants;
mod health;
mod holds;
mod media;
pub mod network;
mod openapi;
mod parties;
mod policy;
mod privacy;
mod problem;
mod range;
mod receipts;
mod retention;
mod revocations;
mod shred;
mod transcript;
mod twilio;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use tower_http::set_header::SetResponseHeaderLayer;

pub use problem::Problem;

use crate::{flow::Flow, twilio::PublicUrl};

/// Largest request body, bytes.
const MAX_BODY: usize = 64 * 1024;
/// Largest request body that holds many statements of consent, bytes.
const MAX_STATEMENTS: usize = 1024 * 1024;

/// `[server]`: where we listen and how the world calls us.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address and port of the service. TLS is a proxy's task.
    pub listen: String,
    /// Address and port of `/metrics`; empty: none.
    pub metrics_listen: String,
    /// The address under which Twilio and listeners reach the service through the proxy.
    pub public_url: String,
    /// Addresses and networks of proxies whose `X-Forwarded-For` is believed. Empty: the header is ignored.
    pub trusted_proxies: Vec<network::TrustedProxies>,
    /// Seconds until an answer must have begun.
    pub request_timeout_s: u64,
    /// Seconds that running streams and work get to end when the service stops.
    pub grace_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            metrics_listen: "127.0.0.1:9464".into(),
            public_url: "http://127.0.0.1:8080".into(),
            trusted_proxies: Vec::new(),
            request_timeout_s: 14,
            grace_s: 10,
        }
    }
}

/// What every handler has at hand.
#[derive(Clone)]
pub struct Api {
    flow: Flow,
    public: Arc<PublicUrl>,
    proxies: Arc<[network::TrustedProxies]>,
}

/// The whole HTTP surface on one page.
pub fn router(flow: Flow, public: PublicUrl, settings: &Settings) -> Router {
    let no_store = SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let no_sniff = SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let no_referrer = SetResponseHeaderLayer::overriding(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let no_frames = SetResponseHeaderLayer::if_not_present(
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("default-src 'none'; media-src 'self'; frame-ancestors 'none'"),
    );
    // As a connection shows them, see `network`.
    let proxies = settings.trusted_proxies.iter().copied().collect();
    let patience = Duration::from_secs(settings.request_timeout_s.clamp(1, 300));
    let in_time = middleware::from_fn(move |request, next| in_time(patience, request, next));
    Router::new()
        // Twilio calls these.
        .nest("/twilio", twilio::routes())
        .nest("/twilio/{secret}", twilio::routes())
        // The team's own applications call these, with a bearer token.
        .route("/v1/recordings", get(catalogue::list))
        .route("/v1/recordings/{id}", get(catalogue::show).delete(shred::shred).patch(corrections::correct))
        .route("/v1/recordings/{id}/grants", post(grants::create))
        .route("/v1/recordings/{id}/holds/{name}", put(holds::place).delete(holds::lift))
        .route("/v1/holds", get(holds::list))
        .route("/v1/revocations", post(revocations::create))
        .route("/v1/revocations/{id}", get(revocations::show))
        .route("/v1/recordings/{id}/approvals", post(approvals::request))
        .route("/v1/approvals", get(approvals::list))
        .route("/v1/approvals/{id}", post(approvals::decide))
        .route("/v1/exports", post(exports::create))
        .route("/v1/recordings/{id}/transcript", put(transcript::file).layer(DefaultBodyLimit::max(transcript::MAX_BODY)))
        .route("/v1/audit", get(audit::list))
        .route("/v1/retention", get(retention::show))
        .route("/v1/calls/{sid}/parties", get(parties::of_call).post(parties::name_of_call))
        .route("/v1/conferences/{sid}/parties", get(parties::of_conference).post(parties::name_of_conference))
        .route("/v1/consents", get(consents::list).post(consents::record).layer(DefaultBodyLimit::max(MAX_STATEMENTS)))
        .route("/v1/consents/search", post(consents::search))
        // Players call these, with a grant's token in the path.
        .route("/v1/media/{token}/audio.wav", get(media::audio))
        .route("/v1/media/{token}/transcript.json", get(media::transcript_json))
        .route("/v1/media/{token}/parties.json", get(media::parties))
        .route("/v1/media/{token}/transcript.vtt", get(media::transcript_vtt))
        // Anybody may call these.
        .route("/v1/receipts/{id}", get(receipts::show))
        .route("/v1/policy", get(policy::show))
        .route("/v1/policies", get(policy::list))
        .route("/v1/policies/{version}", get(policy::version))
        .route("/v1/policies/{version}/statement", get(policy::statement))
        .route("/privacy", get(privacy::show))
        .route("/privacy/{version}", get(privacy::version))
        .route("/.well-known/jwks.json", get(receipts::jwks))
        .route("/openapi.json", get(openapi::show))
        // Operators call these.
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer((no_store, no_sniff, no_referrer, no_frames, in_time, DefaultBodyLimit::max(MAX_BODY)))
        .with_state(Api { flow, public: Arc::new(public), proxies })
}

/// An answer must begin within `patience`; how long its body takes is the listener's affair.
async fn in_time(patience: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::late().into_response(),
    }
}
