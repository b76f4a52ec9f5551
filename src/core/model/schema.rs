//! Schemas of text types in the description of the HTTP interface: the accepted texts and an
//! example.
//!
//! Owns the form of such a schema. Refuses to know the meaning of a text: each type states its
//! pattern beside its parser.

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

/// Returns the schema of a text that matches `pattern` (ECMA-262), such as `example`.
pub(crate) fn text(description: &str, pattern: String, example: String) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description.trim()))
        .pattern(Some(pattern))
        .examples([serde_json::Value::from(example)])
        .into()
}

/// Returns the schema of a closed set of words.
pub(crate) fn words(description: &str, words: &[&str]) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description.trim()))
        .enum_values(Some(words.iter().copied()))
        .examples(words.first().map(|word| serde_json::Value::from(*word)))
        .into()
}
