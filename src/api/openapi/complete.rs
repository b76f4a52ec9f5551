//! The parts of the description that are common to all operations: the answers that any may give,
//! the form of problems, the parameters with one meaning everywhere, and the examples.
//!
//! Owns the parts that utoipa cannot derive. Refuses to know the effects of a handler. INVARIANT:
//! every answer with a status of 400 or more is a [`Problem`].

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use utoipa::PartialSchema;

use super::sample::{self, Extent};
use crate::{
    api::{
        idempotency::{KeyUse, key_use},
        problem::{Problem, ProblemType},
    },
    model::{
        id::{ApprovalId, GrantId, ReceiptId, RecordingId, RevocationId},
        name::{HoldName, Label},
        sid::{AccountSid, CallSid, ConferenceSid, RoomSid},
        subject::Conversation,
    },
};

/// The groups of operations.
const TAGS: &[(&str, &str)] = &[
    (
        "recordings",
        "List, open for a purpose, correct and shred recordings.",
    ),
    (
        "conversations",
        "List conversations, and read the messages of one for a purpose.",
    ),
    (
        "media",
        "Audio, transcript and participants under a grant. The address is the credential.",
    ),
    (
        "approvals",
        "Approval by a second person, which some tiers require.",
    ),
    ("holds", "Holds, which stop shredding."),
    (
        "revocations",
        "Close or shred all recordings of a person or an account, or one recording.",
    ),
    (
        "consent",
        "Participants of conversations and their statements of consent.",
    ),
    ("subjects", "Requests of recorded people."),
    ("receipts", "Signed proof of each shred. Public."),
    (
        "policy",
        "The privacy policy in force, and its versions. Public.",
    ),
    ("audit", "The log of every decision, opening and shred."),
    (
        "twilio",
        "Addresses that Twilio calls. Each request is signed with an account's auth token or a shared key.",
    ),
    (
        "operators",
        "Health, problem pages and this description, for operators.",
    ),
];

/// Addresses whose answer has an entity tag, and which therefore accept conditional requests.
const TAGGED: &[&str] = &[
    "/v1/media/{token}/audio.wav",
    "/v1/policy",
    "/v1/policies/{version}",
    "/openapi.json",
    "/problems",
    "/problems/{name}",
];

/// The pattern of a cursor.
const CURSOR: &str = "^[A-Za-z0-9_-]{1,512}$";

/// Adds the parts that utoipa cannot derive.
pub(super) fn complete(document: &mut Value) {
    document["servers"] =
        json!([{ "url": "/", "description": "The vault that serves this description." }]);
    document["info"]["contact"] =
        json!({ "name": "The controller of this vault, named at `/privacy`" });
    let tag = |(name, text): &(&str, &str)| json!({ "name": name, "description": text });
    document["tags"] = TAGS.iter().map(tag).collect();
    constrain(&mut document["components"]["schemas"]);
    let schemas = document["components"]["schemas"].clone();
    for (path, item) in members(document.get_mut("paths")) {
        for (method, operation) in members(Some(item)) {
            let method = Method::from_bytes(method.to_uppercase().as_bytes());
            let key_use = method.map_or(KeyUse::Ignored, |method| key_use(&method, path));
            let call = DescribedCall {
                path,
                takes_key: key_use == KeyUse::Once,
                schemas: &schemas,
            };
            call.complete(operation);
        }
    }
}

fn members(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

/// Replaces the inlined item schema of a page by a `$ref`.
fn refer(schemas: &mut Value) {
    let Some(schemas) = schemas.as_object_mut() else {
        return;
    };
    let mut items = Vec::new();
    for (page, schema) in schemas.iter_mut() {
        let Some(name) = page.strip_prefix("PageBody_") else {
            continue;
        };
        if let Some(item) = schema.pointer_mut("/properties/items/items")
            && item.get("$ref").is_none()
        {
            let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
            items.push((name.to_owned(), std::mem::replace(item, reference)));
        }
    }
    schemas.extend(items);
}

/// Adds the rules that involve several members.
fn constrain(schemas: &mut Value) {
    refer(schemas);
    for (_, schema) in members(Some(&mut *schemas)) {
        if let Some(cursor) = schema.pointer_mut("/properties/next_cursor")
            && cursor.get("oneOf").is_none()
        {
            cursor["pattern"] = json!(CURSOR);
        }
        // A label's value is one line, too.
        if let Some(labels) = schema.pointer_mut("/properties/labels") {
            labels["additionalProperties"]["maxLength"] = json!(64);
            labels["propertyNames"] = schema_of::<Label>();
        }
    }
    let given =
        |name: &str| json!({ "required": [name], "properties": { name: { "type": "string" } } });
    let one_of = |names: [&str; 3]| {
        let [a, b, c] = names.map(given);
        let both = |x: &Value, y: &Value| json!({ "allOf": [x, y] });
        json!([both(&a, &b), both(&a, &c), both(&b, &c), { "not": { "anyOf": [a, b, c] } }])
    };
    if let Some(schema) = schemas.get_mut("RevocationRequest") {
        schema["not"] = json!({ "anyOf": one_of(["subject", "recording", "account"]) });
        schema["examples"] = json!([{ "subject": "+493012345678", "reason": "subject-request" }]);
    }
    for form in ["PartiesRequest", "CorrectionRequest"] {
        // Each leg is named once.
        if let Some(list) = schemas.pointer_mut(&format!("/{form}/properties/parties")) {
            list["uniqueItems"] = json!(true);
        }
    }
    if let Some(schema) = schemas.get_mut("CorrectionRequest") {
        let labels =
            json!({ "required": ["labels"], "properties": { "labels": { "minProperties": 1 } } });
        let parties = json!({ "required": ["parties"], "properties": { "parties": { "type": "array", "items": {}, "minItems": 1 } } });
        schema["not"] = json!({ "not": { "anyOf": [labels, parties] } });
        schema["examples"] = json!([{ "labels": { "queue": "support" } }]);
    }
    if let Some(schema) = schemas.get_mut("StatementRequest") {
        let mut wrong = one_of(["subject", "call", "conference"]);
        if let Some(wrong) = wrong.as_array_mut() {
            let both = |x: &str, y: &str| json!({ "allOf": [given(x), given(y)] });
            wrong.push(both("subject", "leg"));
            wrong.push(both("disclosure", "disclosure_sha256"));
            let imported = json!({ "properties": { "method": { "enum": ["import"] } }, "required": ["method"] });
            wrong.push(json!({ "allOf": [imported, { "not": given("at") }] }));
        }
        schema["not"] = json!({ "anyOf": wrong });
        schema["examples"] = json!([
            { "subject": "+493012345678", "answer": "given", "method": "contract", "purposes": ["training"] }
        ]);
    }
}

/// One operation, with its path.
struct DescribedCall<'a> {
    path: &'a str,
    /// Whether a repeat with the same `Idempotency-Key` takes no effect.
    takes_key: bool,
    schemas: &'a Value,
}

impl DescribedCall<'_> {
    fn complete(&self, operation: &mut Value) {
        let summary = operation["summary"].as_str().unwrap_or_default().to_owned();
        let rest = operation["description"].as_str().unwrap_or_default();
        operation["description"] = format!("{summary} {rest}").trim().into();
        operation["summary"] = summary.trim_end_matches('.').into();
        if operation["security"].is_null() {
            operation["security"] = json!([]);
        }
        if self.takes_key {
            let parameters = &mut operation["parameters"];
            if parameters.is_null() {
                *parameters = json!([]);
            }
            parameters
                .as_array_mut()
                .into_iter()
                .for_each(|all| all.push(idempotency_key()));
        }
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            self.parameter(parameter);
        }
        self.any_may_give(operation);
        for (status, answer) in members(operation.get_mut("responses")) {
            self.answer(status, answer);
        }
        for (kind, content) in members(operation.pointer_mut("/requestBody/content")) {
            if kind == "application/x-www-form-urlencoded" {
                content["schema"] = callback();
            }
            self.example(content, Extent::Required);
        }
    }

    /// Adds the answers that any operation may give.
    fn any_may_give(&self, operation: &mut Value) {
        let has_bearer = operation["security"][0].is_object();
        let has_body = operation["requestBody"].is_object();
        let is_tagged = TAGGED.contains(&self.path);
        let statuses = [
            (true, 400),
            (has_bearer, 401),
            (has_bearer, 403),
            (self.path.contains('{'), 404),
            (self.takes_key, 409),
            (self.takes_key, 422),
            (has_body, 413),
            (has_body, 415),
            (true, 429),
            (true, 500),
            (true, 503),
            (is_tagged, 412),
            (is_tagged, 304),
        ];
        for (_, status) in statuses.into_iter().filter(|(may, _)| *may) {
            let answer = &mut operation["responses"][status.to_string()];
            if answer.is_null() {
                *answer = json!({});
            }
        }
    }

    fn answer(&self, status: &str, answer: &mut Value) {
        let code: u16 = status.parse().unwrap_or_default();
        let kind = problem(code, self.path);
        if answer["description"]
            .as_str()
            .unwrap_or_default()
            .is_empty()
        {
            answer["description"] = kind
                .map_or_else(|| default_description(code), |kind| kind.meaning().title)
                .into();
        }
        if let Some(kind) = kind {
            let example: Value = Problem::example(kind);
            answer["content"] = json!({
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" }, "example": example }
            });
        }
        for (name, text) in self.headers(code) {
            answer["headers"][name] =
                json!({ "description": text, "schema": { "type": "string", "maxLength": 256 } });
        }
        for (content_type, content) in members(answer.get_mut("content")) {
            if content_type.starts_with("audio/") || content_type == "application/x-tar" {
                content["schema"] = json!({ "type": "string", "format": "binary", "contentMediaType": content_type });
            } else {
                self.example(content, Extent::All);
            }
        }
    }

    fn headers(&self, code: u16) -> Vec<(&'static str, &'static str)> {
        let is_sound = self.path.ends_with("/audio.wav");
        match code {
            200..300 if self.takes_key => vec![(
                "Idempotent-Replayed",
                "`true` if this is the answer to an earlier request with the same `Idempotency-Key`.",
            )],
            409 if self.takes_key => vec![(
                "Retry-After",
                "Seconds until a retry is allowed, if the problem is `idempotency-key-in-use`.",
            )],
            200 | 304 if TAGGED.contains(&self.path) => {
                vec![("ETag", "For `If-None-Match` and `If-Match`.")]
            }
            206 => vec![
                ("ETag", "For `If-Range`."),
                (
                    "Content-Range",
                    "The returned range of bytes, and their total number.",
                ),
            ],
            401 => vec![("WWW-Authenticate", "`Bearer`.")],
            416 if is_sound => vec![("Content-Range", "The total number of bytes.")],
            429 | 503 => vec![("Retry-After", "Seconds until a retry is allowed.")],
            _ => Vec::new(),
        }
    }

    fn example(&self, content: &mut Value, shown: Extent) {
        let schema = &mut content["schema"];
        if schema.is_null() {
            *schema = json!({ "type": "string" });
        }
        if schema["type"] == "string" && schema["maxLength"].is_null() {
            schema["maxLength"] = json!(16 * 1024 * 1024);
        }
        content["example"] = sample::of(&content["schema"], self.schemas, shown);
    }

    fn parameter(&self, parameter: &mut Value) {
        let name = parameter["name"].as_str().unwrap_or_default();
        let after = |part: &str| self.path.split_once(part).map(|(_, rest)| rest);
        let known = match name {
            "limit" => {
                json!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 1000, "default": 100 })
            }
            "after" => json!({ "type": "integer", "format": "int64", "minimum": 0, "default": 0 }),
            "cursor" => json!({ "type": "string", "pattern": CURSOR }),
            "token" => {
                json!({ "type": "string", "pattern": "^rvg_[A-Za-z0-9_-]{43}$", "examples": [format!("rvg_{}", "A".repeat(43))] })
            }
            "version" => {
                json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$", "examples": ["2026-1"] })
            }
            "state" if after("/states/").is_some() => {
                json!({ "type": "string", "pattern": "^(first|[0-9]{1,20})$", "examples": ["first"] })
            }
            "sid" if after("/v1/calls/").is_some() => schema_of::<CallSid>(),
            "sid" if after("/v1/rooms/").is_some() => schema_of::<RoomSid>(),
            "sid" => schema_of::<ConferenceSid>(),
            "name" if after("/holds/").is_some() => schema_of::<HoldName>(),
            "name" => schema_of::<NamedProblem>(),
            "id" if after("/v1/recordings/").is_some() => schema_of::<RecordingId>(),
            "id" if after("/v1/conversations/").is_some() => schema_of::<Conversation>(),
            "id" if after("/v1/revocations/").is_some() => schema_of::<RevocationId>(),
            "id" if after("/v1/approvals/").is_some() => schema_of::<ApprovalId>(),
            "id" if after("/v1/receipts/").is_some() => schema_of::<ReceiptId>(),
            "id" if after("/v1/grants/").is_some() => schema_of::<GrantId>(),
            "Range" => {
                json!({ "type": "string", "format": "byte-ranges", "description": "One range, as in RFC 9110, section 14. Other forms are ignored.", "examples": ["bytes=0-"] })
            }
            "language" => json!({ "type": "string", "maxLength": 35, "examples": ["en-US"] }),
            "leg" => json!({ "type": "string", "enum": ["callee"] }),
            "record" => json!({ "type": "string", "enum": ["both"] }),
            _ => Value::Null,
        };
        let (text, is_path) = (known["description"].clone(), parameter["in"] == "path");
        if !known.is_null() {
            parameter["schema"] = known;
        }
        if parameter["description"].is_null() {
            parameter["description"] = match text {
                Value::Null if is_path => "The value from an earlier answer.".into(),
                text => text,
            };
        }
        if parameter["example"].is_null() {
            parameter["example"] = sample::of(&parameter["schema"], self.schemas, Extent::Required);
        }
    }
}

/// Returns the parameter of the header that makes a repeated request take effect once.
fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "A key of this request, such as a random UUID. A repeat with the same key, token, address and body within \
                        24 hours gets the first answer and takes no effect.",
        "schema": { "type": "string", "pattern": "^[!#-~][!-~]{0,254}$", "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"] },
    })
}

/// Returns the schema of a callback: parameters with Twilio's names, always with the account's SID.
fn callback() -> Value {
    json!({
        "type": "object",
        "description": "Parameters with Twilio's names. Unknown parameters are ignored.",
        "required": ["AccountSid"],
        "properties": { "AccountSid": schema_of::<AccountSid>() },
        "additionalProperties": { "type": "string", "maxLength": 65536 },
    })
}

fn schema_of<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap_or_default()
}

/// The names of problem types, in a path.
struct NamedProblem;

impl PartialSchema for NamedProblem {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("A problem type."))
            .enum_values(Some(ProblemType::EVERY.iter().map(|kind| kind.name())))
            .into()
    }
}

/// Returns the usual problem type of a status; `None` below 400.
fn problem(code: u16, path: &str) -> Option<ProblemType> {
    let usual = match code {
        403 if path.starts_with("/twilio") => ProblemType::BadSignature,
        403 => ProblemType::Denied,
        409 => ProblemType::Conflict,
        503 => ProblemType::Unavailable,
        _ => {
            let status = StatusCode::from_u16(code).ok()?;
            let of_status = |kind: &&ProblemType| kind.meaning().status == status;
            ProblemType::EVERY
                .iter()
                .copied()
                .find(|kind| of_status(&kind))?
        }
    };
    Some(usual)
}

/// Returns the default description of a status below 400.
const fn default_description(code: u16) -> &'static str {
    match code {
        200 => "The requested representation.",
        201 => "Created.",
        202 => "Accepted; the work continues after the answer.",
        204 => "Done and durable.",
        206 => "The requested part.",
        304 => "The client's copy is current.",
        _ => "See the status.",
    }
}

#[cfg(test)]
mod tests;
