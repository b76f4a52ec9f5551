//! The OpenAPI 3.1 description of this interface, generated from the handlers.
//!
//! Owns the list of operations. `complete` adds the parts that are common to all operations.

mod complete;
mod sample;

use std::sync::LazyLock;

use axum::{body::Bytes, http::HeaderMap, response::Response};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::documents;
use crate::db::audit::AuditOrder;

#[derive(OpenApi)]
#[openapi(
    info(title = "Recvault", description = "Keeps recorded communications sealed, and destroys their keys when they must go."),
    paths(
        super::twilio::recording_posted,
        super::twilio::recording_got,
        super::twilio::consent::voice_posted,
        super::twilio::consent::voice_got,
        super::twilio::consent::message_posted,
        super::twilio::consent::message_got,
        super::twilio::interactions::interaction_posted,
        super::twilio::interactions::interaction_got,
        super::twilio::messages::status_posted,
        super::twilio::conversations::event_posted,
        super::twilio::conversations::event_got,
        super::twilio::messages::status_got,
        super::twilio::video::video_posted,
        super::twilio::events::batch_posted,
        super::twilio::transcripts::intelligence_posted,
        super::twilio::transcripts::intelligence_got,
        super::twilio::transcripts::transcription_posted,
        super::twilio::transcripts::real_time_posted,
        super::search::list,
        super::search::search,
        super::catalogue::show,
        super::shred::shred,
        super::conversations::list,
        super::conversations::search,
        super::conversations::show,
        super::threads::create,
        super::grants::create,
        super::grants::list,
        super::grants::end,
        super::holds::place,
        super::holds::lift,
        super::holds::list,
        super::revocations::create,
        super::revocations::list,
        super::revocations::show,
        super::corrections::correct,
        super::approvals::request,
        super::approvals::list,
        super::approvals::decide,
        super::exports::create,
        super::transcript::file,
        super::audit::list,
        super::parties::of_call,
        super::parties::name_of_call,
        super::parties::of_conference,
        super::parties::name_of_conference,
        super::parties::of_room,
        super::parties::name_of_room,
        super::consents::list,
        super::consents::record,
        super::consents::search,
        super::media::audio,
        super::media::message,
        super::media::state_message,
        super::media::state_transcript,
        super::media::file,
        super::media::transcript_json,
        super::media::transcript_vtt,
        super::media::parties,
        super::threads::json,
        super::threads::html,
        super::receipts::show,
        super::receipts::jwks,
        super::retention::show,
        super::policy::show,
        super::policy::list,
        super::policy::version,
        super::policy::statement,
        super::privacy::show,
        super::privacy::version,
        super::health::alive,
        super::health::ready,
        super::problems::index,
        super::problems::page,
        show
    ),
    // Types that only occur in parameters.
    components(schemas(AuditOrder)),
    modifiers(&BearerScheme)
)]
struct Description;

struct BearerScheme;

impl Modify for BearerScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", scheme);
    }
}

/// Returns this description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenApi", tag = "operators", responses((status = 200, body = Object)))]
pub(super) async fn show(headers: HeaderMap) -> Response {
    let (etag, description) = &*DESCRIPTION;
    documents::answer(&headers, "application/json", etag, description.clone())
}

/// The description with its entity tag, made once, because making it takes milliseconds and anyone
/// may request it.
static DESCRIPTION: LazyLock<(String, Bytes)> = LazyLock::new(|| {
    let mut description =
        serde_json::to_value(Description::openapi()).expect("a description has a JSON form");
    complete::complete(&mut description);
    let description = Bytes::from(description.to_string());
    (documents::etag(&description), description)
});
