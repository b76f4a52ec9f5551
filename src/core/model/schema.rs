//! How what has one text form stands in the description of the HTTP interface: which texts it
//! takes, and one of them.
//!
//! Owns the form of such a schema. Refuses to know what a text means: each type says its pattern
//! beside its parser.

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

/// A text that matches `pattern` (ECMA-262), such as `example`.
pub(crate) fn text(description: &str, pattern: String, example: String) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description.trim()))
        .pattern(Some(pattern))
        .examples([serde_json::Value::from(example)])
        .into()
}

/// One of these words.
pub(crate) fn words(description: &str, words: &[&str]) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description.trim()))
        .enum_values(Some(words.iter().copied()))
        .examples(words.first().map(|word| serde_json::Value::from(*word)))
        .into()
}
