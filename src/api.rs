//! The HTTP interface: translation only.
//!
//! Owns the route table, the form of requests, and the form of errors (RFC 9457). Refuses to
//! decide: a handler extracts, calls one use case of `flow`, and converts the result.

mod approvals;
mod audit;
mod body;
pub mod bounded_seconds;
mod catalogue;
pub mod client_ip;
mod conditions;
mod connection;
mod consents;
mod conversations;
mod corrections;
pub mod cors;
mod documents;
mod exports;
mod gate;
mod grants;
mod health;
mod holds;
mod idempotency;
pub(crate) mod limits;
mod media;
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
mod schemas;
mod search;
pub mod settings;
mod shred;
mod threads;
mod transcript;
mod twilio;
mod unread;

// The command line prints these types too.
pub(crate) use self::{
    catalogue::{DetailsBody, RecordingBody},
    conversations::{ConversationBody, ListedConversationBody},
    grants::{GrantBody, ListedGrantBody},
    threads::ThreadGrantBody,
};

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, post, put},
};
use tower_http::set_header::SetResponseHeaderLayer;

pub use limits::LimitSettings;
pub use problem::Problem;
pub(crate) use problem::ProblemReason;
pub use settings::ServerSettings;

use self::{client_ip::TrustedProxies, documents::DocumentCache, limits::Limits};
use crate::{
    flow::{Flow, Panicked},
    twilio::PublicUrl,
};

/// The shared state of every handler.
#[derive(Clone)]
pub struct Api {
    flow: Flow,
    public: Arc<PublicUrl>,
    proxies: TrustedProxies,
    limits: Arc<Limits>,
    documents: Arc<DocumentCache>,
    /// The time within which an answer must begin.
    request_timeout: Duration,
}

/// Builds the whole route table; `connections` is the number of concurrent connections.
pub fn router(
    flow: Flow,
    public: PublicUrl,
    settings: &ServerSettings,
    connections: usize,
) -> Router {
    let api = Api {
        flow,
        public: Arc::new(public),
        proxies: settings.trusted_proxies.clone(),
        limits: Arc::new(Limits::new(&settings.limits, connections)),
        documents: Arc::default(),
        request_timeout: settings.request_timeout_s.duration(),
    };
    let granted = granted().route_layer(from_fn_with_state(api.clone(), limits::granted));
    let anonymous = anonymous().route_layer(from_fn_with_state(api.clone(), limits::anonymous));
    // Process supervisors call this without a rate limit.
    let liveness = Router::new().route("/healthz", get(health::alive));
    let bearer = bearer().route_layer(from_fn_with_state(api.clone(), idempotency::once));
    let requests = bearer
        .merge(granted)
        .merge(anonymous)
        .merge(liveness)
        .route_layer(from_fn_with_state(api.clone(), limits::open_requests))
        .route_layer(from_fn_with_state(api.clone(), in_time));
    let callbacks = Router::new()
        .nest("/twilio", twilio::routes())
        .nest("/twilio/{secret}", twilio::routes())
        .route_layer(from_fn_with_state(api.clone(), to_the_end_in_time));
    requests
        .merge(callbacks)
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer((
            no_store(),
            fixed_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            fixed_header(header::REFERRER_POLICY, "no-referrer"),
            no_frames(),
            middleware::from_fn(connection::require_host),
            middleware::from_fn(connection::close_if_body_unread),
            tower::util::option_layer(cors::layer(&settings.cors_origins)),
            middleware::from_fn(body::limited),
        ))
        .with_state(api)
}

/// Prevents clients and proxies from storing answers, unless a handler sets another header.
fn no_store() -> SetResponseHeaderLayer<HeaderValue> {
    let value = HeaderValue::from_static("no-store");
    SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, value)
}

/// Forbids an answer to load anything or to be framed, unless a handler sets another policy.
fn no_frames() -> SetResponseHeaderLayer<HeaderValue> {
    let value = "default-src 'none'; media-src 'self'; frame-ancestors 'none'";
    let value = HeaderValue::from_static(value);
    SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, value)
}

fn fixed_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

/// Routes for applications, with a bearer token.
fn bearer() -> Router<Api> {
    Router::new()
        .route("/v1/recordings", get(search::list))
        .route("/v1/recordings/search", post(search::search))
        .route(
            "/v1/recordings/{id}",
            get(catalogue::show)
                .delete(shred::shred)
                .patch(corrections::correct),
        )
        .route("/v1/recordings/{id}/grants", post(grants::create))
        .route("/v1/conversations", get(conversations::list))
        .route("/v1/conversations/search", post(conversations::search))
        .route("/v1/conversations/{id}", get(conversations::show))
        .route("/v1/conversations/{id}/grants", post(threads::create))
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
        .route("/v1/recordings/{id}/transcript", put(transcript::file))
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
            "/v1/rooms/{sid}/parties",
            get(parties::of_room).post(parties::name_of_room),
        )
        .route("/v1/consents", get(consents::list).post(consents::record))
        .route("/v1/consents/search", post(consents::search))
}

/// Routes whose `GET` has an effect, such as an audit entry: `axum` also runs a `GET` handler for
/// `HEAD`, and the effect would happen without its answer. `takes` is the value of `Allow`.
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
        .route("/v1/media/{token}/message.json", get(media::message))
        .route("/v1/media/{token}/files/{number}", get(media::file))
        .route(
            "/v1/media/{token}/transcript.json",
            get(media::transcript_json),
        )
        .route("/v1/media/{token}/parties.json", get(media::parties))
        .route("/v1/media/{token}/thread.json", get(threads::json))
        .route("/v1/media/{token}/thread.html", get(threads::html))
        .route(
            "/v1/media/{token}/states/{state}/message.json",
            get(media::state_message),
        )
        .route(
            "/v1/media/{token}/states/{state}/transcript.json",
            get(media::state_transcript),
        )
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
        // It queries the database and the store, so it has a rate limit too.
        .route("/readyz", get(health::ready))
}

/// Answers within the time limit, or with a problem; the duration of the body is not limited. A
/// read is cancelled when its time is over or its client disconnects. A request that may change
/// something runs to its end.
async fn in_time(State(api): State<Api>, request: Request, next: Next) -> Response {
    if !request.method().is_safe() {
        return to_the_end_in_time(State(api), request, next).await;
    }
    tokio::time::timeout(api.request_timeout, next.run(request))
        .await
        .unwrap_or_else(|_| Problem::late().into_response())
}

/// As [`in_time`], but every request runs to its end, whatever its method: Twilio may be configured
/// to send callbacks with GET.
async fn to_the_end_in_time(State(api): State<Api>, request: Request, next: Next) -> Response {
    let running = api.flow.running.to_its_end(next.run(request));
    match tokio::time::timeout(api.request_timeout, running).await {
        Ok(Ok(response)) => response,
        Ok(Err(Panicked)) => Problem::internal().into_response(),
        Err(_) => Problem::late().into_response(),
    }
}
