//! The types of fields in Twilio's schemas, and objects that a schema allows.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::twilio::rest::tests::{recording, sid};

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A text of this prefix and 32 hex digits.
    Sid(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// `date-time-rfc-2822`.
    Rfc2822,
    /// `date-time`.
    Iso,
    /// Any text.
    Text,
    /// A whole number as a text.
    Digits,
    /// `integer` with a default: never `null`.
    Whole,
    /// `integer` or `number` that may be `null`.
    Number,
    /// No type at all.
    Anything,
    /// The `channel` of a transcript with its content: no type in the schema, but this form in the
    /// documentation.
    Channel,
    /// The `words` of a sentence: a list of items without a type.
    Words,
    /// The id of what the resource is below.
    Fixed(&'static str),
}

pub(super) type Schema = &'static [(&'static str, Kind)];

fn or_null(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![3 => value, 1 => Just(Value::Null)].boxed()
}

fn anything() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{ "x": null }])),
    ]
    .boxed()
}

/// Generates a value that the schema allows for a field.
fn of(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        // Of the account that asks, as whatever it lists is.
        Kind::Sid("AC") => or_null(Just(json!(sid()))),
        Kind::Sid(prefix) => {
            or_null("[0-9a-f]{32}".prop_map(move |digits| json!(format!("{prefix}{digits}"))))
        }
        Kind::Word(words) => or_null(prop::sample::select(words).prop_map(|word| json!(word))),
        Kind::Rfc2822 => or_null(Just(json!("Tue, 28 May 2019 02:18:02 +0000"))),
        Kind::Iso => or_null(Just(json!("2019-05-28T02:18:02Z"))),
        Kind::Text => or_null(".{0,20}".prop_map(Value::from)),
        Kind::Digits => or_null("[0-9]{1,4}".prop_map(Value::from)),
        Kind::Whole => (0..3i64).prop_map(Value::from).boxed(),
        Kind::Number => or_null((0.0..9999.0f64).prop_map(Value::from)),
        Kind::Anything => anything(),
        Kind::Channel => {
            let known = or_null(prop_oneof![
                Just(json!("Recording")),
                Just(json!(recording()))
            ]);
            let properties = or_null(
                (known.clone(), known)
                    .prop_map(|(source, sid)| json!({ "source": source, "source_sid": sid })),
            );
            prop_oneof![3 => properties.prop_map(|properties| json!({ "media_properties": properties })), 1 => anything()].boxed()
        }
        Kind::Fixed(prefix) => Just(json!(format!("{prefix}{}", "4".repeat(32)))).boxed(),
        Kind::Words => {
            let text = or_null("[a-z]{1,8}".prop_map(Value::from));
            let word = (text, or_null((0.0..99.0f64).prop_map(Value::from)))
                .prop_map(|(word, at)| json!({ "word": word, "start_time": at }));
            or_null(
                prop::collection::vec(prop_oneof![3 => word, 1 => anything()], 0..4)
                    .prop_map(Value::from),
            )
        }
    }
}

/// Generates any object that the schema allows: each field may be absent.
pub(super) fn resource(schema: Schema) -> BoxedStrategy<Value> {
    let fields: Vec<_> = schema
        .iter()
        .map(|(name, kind)| (Just(*name), proptest::option::weighted(0.9, of(*kind))))
        .collect();
    fields
        .prop_map(|fields| {
            fields
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect::<Map<_, _>>()
                .into()
        })
        .boxed()
}
