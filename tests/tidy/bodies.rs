//! One way to read a body: `src/api/body.rs`, and for callbacks `src/api/twilio/signed.rs`.

use super::lexer::Code;

/// Files that read bodies, or pass requests on unread.
const READERS: [&str; 5] = [
    "src/api/body.rs",
    "src/api/connection.rs",
    "src/api/idempotency.rs",
    "src/api/twilio/signed.rs",
    "src/api/limits.rs",
];

/// Other ways to read a body, and handler arguments that do so.
const WAYS: [&str; 8] = [
    "BytesRejection",
    "JsonRejection",
    "to_bytes",
    "RawForm",
    "Multipart",
    "FromRequest for",
    "FromRequest<",
    "Form<",
];
const ARGUMENTS: [&str; 6] = [
    ": Bytes",
    ": String",
    ": Request",
    ": Body",
    ": Json<",
    "<Bytes",
];

/// Returns the lines of a file of `src/api` that read a body, or could.
pub(super) fn stray(code: &Code) -> Vec<String> {
    if !code.path.starts_with("src/api/") || READERS.contains(&code.path.as_str()) {
        return Vec::new();
    }
    let mut in_handler = false;
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(code.code.lines()) {
        in_handler |= line.starts_with("pub(super) async fn ");
        let is_way = WAYS.iter().any(|way| line.contains(way));
        let is_argument = in_handler && ARGUMENTS.iter().any(|argument| line.contains(argument));
        if is_way || is_argument {
            faults.push(format!(
                "{}:{number}: a body is read by `JsonBody` of `src/api/body.rs` only",
                code.path
            ));
        }
        in_handler &= !line.contains("->");
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer;

    #[test]
    fn a_handler_with_a_body_of_its_own_is_found() {
        for handler in [
            "pub(super) async fn x(\n    body: Bytes,\n) -> Y {}",
            "pub(super) async fn x(\n    Json(body): Json<Value>,\n) -> Y {}",
            "pub(super) async fn x(body: String) -> Y {}",
            "pub(super) async fn x(\n    body: Result<Bytes, BytesRejection>,\n) -> Y {}",
            "impl FromRequest<Api> for X {}",
        ] {
            let found = |path: &str| stray(&lexer::read(path, handler)).len();
            assert!(found("src/api/x.rs") > 0, "{handler}");
            assert_eq!(found("src/api/body.rs") + found("src/flow/x.rs"), 0);
        }
        let fine = "pub(super) async fn x(\n    JsonBody(body): JsonBody<X>,\n) -> Result<Json<Y>, Problem> {\n    let text: String = y();\n}";
        assert_eq!(stray(&lexer::read("src/api/x.rs", fine)), [] as [&str; 0]);
    }
}
