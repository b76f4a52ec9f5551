//! The HTTP interface: translation only.
//!
//! Owns the route table, the form of requests, and the form of errors (RFC 9457). Refuses to
//! decide: a handler extracts, calls one use case of `flow`, and converts the result.

mod approvals;
mod audit;
mod body;
mod catalogue;
mod conditions;
mod connection;
mod consents;
mod corrections;
pub mod cors;
mod documents;
mod exports;
mod forms;
mod gate;
mod grants;
mod health;
mod holds;
mod idempotency;
pub(crate) mod limits;
mod media;
pub mod network;
mod openapi;
mod page;
mod parties;
mod policy;
mod privacy;
mod problem;
mod problems;
mod range;
mod receipts;
mod retention;
mod revocations;
mod search;
mod shred;
mod transcript;
mod twilio;
mod words;

// As the command line prints them, too.
pub(crate) use self::{
    catalogue::{DetailsBody, RecordingBody},
    grants::ListedGrantBody,
};

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, post, put},
};
use tower_http::set_header::SetResponseHeaderLayer;

pub use limits::LimitSettings;
pub use problem::Problem;

use self::{documents::Documents, limits::Limits};
use crate::{
    flow::{Flow, Panicked},
    twilio::PublicUrl,
};

/// The largest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// The largest request body with many statements of consent, in bytes.
const MAX_STATEMENTS: usize = 1024 * 1024;

/// `[server]`: addresses, proxies and limits of the service.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Address and port of the service, without TLS, which a proxy provides.
    pub listen: String,
    /// Address and port of `/metrics`; empty: no metrics.
    pub metrics_listen: String,
    /// The public address at which Twilio and listeners reach the service.
    pub public_url: String,
    /// Addresses and networks of proxies whose `X-Forwarded-For` is trusted. Empty: the header is
    /// ignored.
    pub trusted_proxies: Vec<network::TrustedProxies>,
    /// Origins whose browser pages may use the interface. Empty: only the vault's own pages.
    pub cors_origins: Vec<cors::WebOrigin>,
    /// Seconds within which an answer must begin.
    pub request_timeout_s: u64,
    /// Seconds for running streams and work to end when the service stops.
    pub grace_s: u64,
    /// The limits for one client.
    pub limits: LimitSettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            metrics_listen: "127.0.0.1:9464".into(),
            public_url: "http://127.0.0.1:8080".into(),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            request_timeout_s: 14,
            grace_s: 10,
            limits: LimitSettings::default(),
        }
    }
}

impl ServerSettings {
    /// Returns the trusted proxies; see `network`.
    pub(crate) fn proxies(&self) -> Arc<[network::TrustedProxies]> {
        self.trusted_proxies.iter().copied().collect()
    }
}

/// The shared state of every handler.
#[derive(Clone)]
pub struct Api {
    flow: Flow,
    public: Arc<PublicUrl>,
    proxies: Arc<[network::TrustedProxies]>,
    limits: Arc<Limits>,
    documents: Arc<Documents>,
}

/// Builds the whole route table; `connections` is the number of concurrent connections.
pub fn router(
    flow: Flow,
    public: PublicUrl,
    settings: &ServerSettings,
    connections: usize,
) -> Router {
    let no_store = SetResponseHeaderLayer::if_not_present(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    let no_sniff = SetResponseHeaderLayer::overriding(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let no_referrer = SetResponseHeaderLayer::overriding(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    let no_frames = SetResponseHeaderLayer::if_not_present(
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("default-src 'none'; media-src 'self'; frame-ancestors 'none'"),
    );
    let patience = Duration::from_secs(settings.request_timeout_s.clamp(1, 300));
    let running = flow.clone();
    let in_time =
        middleware::from_fn(move |request, next| in_time(running.clone(), patience, request, next));
    let api = Api {
        flow,
        public: Arc::new(public),
        proxies: settings.proxies(),
        limits: Arc::new(Limits::new(&settings.limits, connections)),
        documents: Arc::default(),
    };
    let shared = middleware::from_fn_with_state(api.clone(), limits::shared);
    Router::new()
        // Twilio calls these.
        .nest("/twilio", twilio::routes())
        .nest("/twilio/{secret}", twilio::routes())
        // Applications call these, with a bearer token.
        .route("/v1/recordings", get(search::list))
        .route("/v1/recordings/search", post(search::search))
        .route(
            "/v1/recordings/{id}",
            get(catalogue::show)
                .delete(shred::shred)
                .patch(corrections::correct),
        )
        .route("/v1/recordings/{id}/grants", post(grants::create))
        .route("/v1/grants", get(grants::list))
        .route("/v1/grants/{id}", delete(grants::end))
        .route(
            "/v1/recordings/{id}/holds/{name}",
            put(holds::place).delete(holds::lift),
        )
        .route("/v1/holds", get(holds::list))
        .route(
            "/v1/revocations",
            get(revocations::list).post(revocations::create),
        )
        .route("/v1/revocations/{id}", get(revocations::show))
        .route("/v1/recordings/{id}/approvals", post(approvals::request))
        .route("/v1/approvals", without_head(get(approvals::list), "GET"))
        .route("/v1/approvals/{id}", post(approvals::decide))
        .route("/v1/exports", post(exports::create))
        .route(
            "/v1/recordings/{id}/transcript",
            put(transcript::file).layer(DefaultBodyLimit::max(transcript::MAX_BODY)),
        )
        .route("/v1/audit", get(audit::list))
        .route("/v1/retention", get(retention::show))
        .route(
            "/v1/calls/{sid}/parties",
            get(parties::of_call).post(parties::name_of_call),
        )
        .route(
            "/v1/conferences/{sid}/parties",
            get(parties::of_conference).post(parties::name_of_conference),
        )
        .route(
            "/v1/consents",
            get(consents::list)
                .post(consents::record)
                .layer(DefaultBodyLimit::max(MAX_STATEMENTS)),
        )
        .route("/v1/consents/search", post(consents::search))
        .route_layer(middleware::from_fn_with_state(
            api.clone(),
            idempotency::once,
        ))
        .merge(granted().route_layer(middleware::from_fn_with_state(api.clone(), limits::granted)))
        .merge(anonymous().route_layer(middleware::from_fn_with_state(
            api.clone(),
            limits::anonymous,
        )))
        // Process supervisors call this without a limit.
        .route("/healthz", get(health::alive))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer((
            no_store,
            no_sniff,
            no_referrer,
            no_frames,
            middleware::from_fn(connection::hosted),
            middleware::from_fn(connection::closed_after_unread),
            tower::util::option_layer(cors::layer(&settings.cors_origins)),
            in_time,
            shared,
            DefaultBodyLimit::max(MAX_BODY),
        ))
        .with_state(api)
}

/// Routes whose `GET` has an effect, as an entry that something was shown: `axum` would run it for
/// `HEAD`, too, and nobody would see what it opens. `takes` is what the address takes.
fn without_head(routes: MethodRouter<Api>, takes: &'static str) -> MethodRouter<Api> {
    let refused = async move || {
        let takes = [(header::ALLOW, HeaderValue::from_static(takes))];
        (takes, problem::no_such_method().await)
    };
    routes.head(refused)
}

/// Routes for players, with a grant's token in the path.
fn granted() -> Router<Api> {
    Router::new()
        .route("/v1/media/{token}/audio.wav", get(media::audio))
        .route(
            "/v1/media/{token}/transcript.json",
            get(media::transcript_json),
        )
        .route("/v1/media/{token}/parties.json", get(media::parties))
        .route(
            "/v1/media/{token}/transcript.vtt",
            get(media::transcript_vtt),
        )
}

/// Public routes, with a rate limit.
fn anonymous() -> Router<Api> {
    Router::new()
        .route("/v1/receipts/{id}", get(receipts::show))
        .route("/v1/policy", get(policy::show))
        .route("/v1/policies", get(policy::list))
        .route("/v1/policies/{version}", get(policy::version))
        .route("/v1/policies/{version}/statement", get(policy::statement))
        .route("/privacy", get(privacy::show))
        .route("/privacy/{version}", get(privacy::version))
        .route("/.well-known/jwks.json", get(receipts::jwks))
        .route("/openapi.json", get(openapi::show))
        .route("/problems", get(problems::index))
        .route("/problems/{name}", get(problems::page))
        // It queries the database and the store, so it is limited too.
        .route("/readyz", get(health::ready))
}

/// Answers within `patience`, or with a problem; the duration of the body is not limited. A read is
/// cancelled when its time is over or its client disconnects. A request that may change something
/// runs to its end.
async fn in_time(flow: Flow, patience: Duration, request: Request, next: Next) -> Response {
    // Twilio may be configured to send callbacks with GET.
    let only_reads = request.method().is_safe() && !request.uri().path().starts_with("/twilio");
    let answered = async {
        if only_reads {
            Ok(next.run(request).await)
        } else {
            flow.running.to_its_end(next.run(request)).await
        }
    };
    match tokio::time::timeout(patience, answered).await {
        Ok(Ok(response)) => response,
        Ok(Err(Panicked)) => Problem::internal().into_response(),
        Err(_) => Problem::late().into_response(),
    }
}
