//! The served description has all required parts for every operation.

use std::collections::BTreeSet;

use serde_json::Value;

fn document() -> Value {
    serde_json::from_slice(&super::super::DESCRIPTION.1).unwrap()
}

/// Returns every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[test]
fn every_operation_has_an_id_of_its_own_and_says_what_it_does() {
    let document = document();
    let mut ids = BTreeSet::new();
    let tags: BTreeSet<&str> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    for (place, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{place}: `{id}` is another one's, too");
        // The default id is the function's name, such as `show` or `list`, which is not unique.
        assert!(
            id.contains(|c: char| c.is_ascii_uppercase()),
            "{place}: give it an `operation_id`, not `{id}`"
        );
        for text in ["summary", "description"] {
            assert!(
                operation[text].as_str().is_some_and(|text| text.len() > 8),
                "{place} has no {text}"
            );
        }
        assert!(operation["security"].is_array(), "{place}");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(
            tags.contains(tag),
            "{place}: the tag `{tag}` is not described"
        );
    }
}

#[test]
fn every_answer_is_described_and_every_error_is_a_problem() {
    let document = document();
    for (place, operation) in operations(&document) {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(
                !answer["description"].as_str().unwrap().is_empty(),
                "{place} {status}"
            );
            let types: Vec<&String> = answer["content"]
                .as_object()
                .into_iter()
                .flat_map(|content| content.keys())
                .collect();
            if status.as_str() >= "400" {
                assert_eq!(types, ["application/problem+json"], "{place} {status}");
            }
            for (kind, content) in answer["content"].as_object().into_iter().flatten() {
                assert!(
                    content["schema"].is_object(),
                    "{place} {status} {kind} has no schema"
                );
                let is_binary = content["schema"]["format"] == "binary";
                assert!(
                    is_binary || !content["example"].is_null(),
                    "{place} {status} {kind} has no example"
                );
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["description"].is_string() && !parameter["example"].is_null(),
                "{place}: {parameter}"
            );
        }
        for status in ["400", "429", "500", "503"] {
            assert!(
                operation["responses"][status].is_object(),
                "{place} {status}"
            );
        }
    }
}

#[test]
fn every_post_takes_a_key_or_needs_none() {
    let document = document();
    let mut without = Vec::new();
    for (place, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array();
        let names = parameters.into_iter().flatten().map(|one| &one["name"]);
        let takes_key = names.into_iter().any(|name| name == "Idempotency-Key");
        let may_say_so = operation["responses"]["422"].is_object();
        assert_eq!(takes_key, may_say_so, "{place}");
        let posts = place.starts_with("post /v1/");
        assert!(posts || !takes_key, "{place}");
        if posts && !takes_key {
            without.push(place);
        }
    }
    // The first answers with a stream; the others only read.
    let expected = [
        "post /v1/consents/search",
        "post /v1/exports",
        "post /v1/recordings/search",
    ];
    without.sort_unstable();
    assert_eq!(without, expected);
}

/// Calls `look` with every schema below.
fn walk(place: &str, value: &Value, look: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            if members.contains_key("type") {
                look(place, value);
            }
            for (name, member) in members {
                // A `not` schema needs no bounds, and an example is no schema.
                if !matches!(
                    name.as_str(),
                    "not" | "example" | "examples" | "securitySchemes"
                ) {
                    walk(&format!("{place}/{name}"), member, look);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                walk(place, item, look);
            }
        }
        _ => {}
    }
}

#[test]
fn every_text_and_number_says_what_it_may_be() {
    let mut faults = Vec::new();
    walk("", &document(), &mut |place, schema| {
        let is = |kind: &str| {
            schema["type"] == kind
                || schema["type"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|each| each == kind))
        };
        let has = |names: &[&str]| names.iter().any(|name| !schema[*name].is_null());
        if is("string") && !has(&["enum", "pattern", "format", "maxLength"]) {
            faults.push(format!("{place} is any text"));
        }
        if is("integer") && !has(&["maximum", "format"]) {
            faults.push(format!("{place} is any number"));
        }
        if is("array") && !has(&["items"]) {
            faults.push(format!("{place} holds anything"));
        }
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn words_stand_as_they_are_said() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (name, words) in [
        (
            "Answer",
            &["given", "declined", "withdrawn", "informed"][..],
        ),
        ("ApprovalState", &["requested", "approved", "refused"]),
        ("RevocationOutcome", &["shredded", "held", "closed"]),
        (
            "RecordingState",
            &["announced", "absent", "failed", "sealed", "shredded"],
        ),
    ] {
        assert_eq!(schemas[name]["enum"], serde_json::json!(words), "{name}");
    }
}
