//! Conditional requests (RFC 9110, section 13): `If-Match` and `If-None-Match`, evaluated wherever
//! an entity tag is sent.
//!
//! INVARIANT: they are evaluated before anything is decrypted.

use axum::http::{HeaderMap, HeaderName, header};

use super::problem::Problem;

/// The outcome of the conditions of a GET or HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// No condition prevents the answer.
    Met,
    /// The client's copy is current: 304.
    NotModified,
}

/// Evaluates the conditions of a GET or HEAD for a representation with this tag, in the order of
/// section 13.2.2.
pub(super) fn evaluate(headers: &HeaderMap, etag: &str) -> Result<Precondition, Problem> {
    // `If-Match` compares strongly; we never send a weak tag.
    if headers.contains_key(header::IF_MATCH)
        && !tags(headers, header::IF_MATCH).any(|tag| tag == "*" || tag == etag)
    {
        return Err(Problem::precondition_failed());
    }
    // `If-None-Match` compares weakly.
    let is_known = tags(headers, header::IF_NONE_MATCH)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag);
    Ok(if is_known {
        Precondition::NotModified
    } else {
        Precondition::Met
    })
}

fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_not_sent_it() {
        for (told, known) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("a", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, told.parse().unwrap());
            assert_eq!(
                evaluate(&headers, "\"a\"").ok(),
                Some(if known {
                    Precondition::NotModified
                } else {
                    Precondition::Met
                }),
                "{told}"
            );
        }
        assert_eq!(
            evaluate(&HeaderMap::new(), "\"a\"").ok(),
            Some(Precondition::Met)
        );
    }

    #[test]
    fn who_wants_another_one_is_told_so() {
        for (told, met) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("\"b\", \"a\"", true),
            ("*", true),
            // A weak tag never matches strongly (section 8.8.3.2).
            ("W/\"a\"", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, told.parse().unwrap());
            // `If-Match` is evaluated first.
            headers.insert(header::IF_NONE_MATCH, "\"c\"".parse().unwrap());
            assert_eq!(evaluate(&headers, "\"a\"").is_ok(), met, "{told}");
        }
    }
}
