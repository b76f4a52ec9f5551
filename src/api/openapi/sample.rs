//! An example value of a schema.
//!
//! Derived from the schema itself, so that an example always matches its schema.

use serde_json::{Map, Value, json};

/// The members of an object that are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Only required members: for requests.
    Required,
    /// All members: for answers.
    All,
}

/// Returns a value that matches `schema`, whose references are looked up in `schemas`.
pub(super) fn of(schema: &Value, schemas: &Value, shown: Extent) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return of(&schemas[name], schemas, shown);
    }
    for given in [
        &schema["examples"][0],
        &schema["default"],
        &schema["enum"][0],
    ] {
        if !given.is_null() {
            return given.clone();
        }
    }
    for alternatives in [&schema["oneOf"], &schema["anyOf"]] {
        let is_value = |alternative: &&Value| alternative["type"] != "null";
        if let Some(one) = alternatives
            .as_array()
            .and_then(|all| all.iter().find(is_value))
        {
            return of(one, schemas, shown);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| of(part, schemas, shown));
        let members = parts.filter_map(|part| part.as_object().cloned());
        return Value::Object(members.flatten().collect());
    }
    match kind(schema) {
        "object" => object(schema, schemas, shown),
        "array" => {
            let items = &schema["items"];
            if shown == Extent::Required && schema["minItems"].is_null() {
                json!([])
            } else {
                json!([of(items, schemas, shown)])
            }
        }
        "string" => json!(text(schema)),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(0)),
        "boolean" => json!(false),
        _ => Value::Null,
    }
}

/// Returns the type; null is ignored among several.
fn kind(schema: &Value) -> &str {
    let several = schema["type"].as_array().map(Vec::as_slice);
    several
        .unwrap_or(std::slice::from_ref(&schema["type"]))
        .iter()
        .filter_map(Value::as_str)
        .find(|kind| *kind != "null")
        .unwrap_or_default()
}

fn object(schema: &Value, schemas: &Value, shown: Extent) -> Value {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut members = Map::new();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        if shown == Extent::All || required.contains(&name.as_str()) {
            members.insert(name.clone(), of(member, schemas, shown));
        }
    }
    if let (Some(value), Some(name)) = (
        schema
            .get("additionalProperties")
            .filter(|value| value.is_object()),
        schema.get("propertyNames"),
    ) && shown == Extent::All
        && let Value::String(name) = of(name, schemas, shown)
    {
        members.insert(name, of(value, schemas, shown));
    }
    Value::Object(members)
}

fn text(schema: &Value) -> String {
    match (schema["format"].as_str(), schema["pattern"].as_str()) {
        (Some("date-time"), _) => "2026-01-31T15:04:05.000Z".into(),
        (Some("uri"), _) => "https://vault.example.com/".into(),
        (_, Some("^[0-9a-f]{64}$" | "^[0-9a-fA-F]{64}$")) => "0123456789abcdef".repeat(4),
        (_, Some("^[A-Za-z0-9_-]{43}$")) => "A".repeat(43),
        (_, Some(pattern)) if pattern.contains(r"\.[A-Za-z0-9_-]+\.") => "e30.e30.AA".into(),
        _ => "text".into(),
    }
}
