//! Checks of a statement by its text and its values: whether it may change rows, and whether both
//! databases accept its arguments. Refuses to know a session.

use super::{Arg, Error};

/// Returns whether a statement may change rows, by the first word after its name: it is not one
/// that only reads or changes a setting. One that begins with `WITH RECURSIVE` may do either.
pub(super) fn changes(sql: &str) -> bool {
    let statement = sql.trim_start();
    let statement = statement
        .strip_prefix("/*")
        .and_then(|named| named.split_once("*/"))
        .map_or(statement, |(_, statement)| statement.trim_start());
    let begins = |verbs: &[&str]| verbs.iter().any(|verb| statement.starts_with(verb));
    let goes_on = || {
        ["INSERT INTO", "UPDATE ", "DELETE FROM"]
            .iter()
            .any(|verb| statement.contains(verb))
    };
    match () {
        () if begins(&["SELECT", "PRAGMA", "SET "]) => false,
        () if begins(&["WITH RECURSIVE"]) => goes_on(),
        () => true,
    }
}

/// Checks that both databases accept these values. PostgreSQL refuses U+0000 in a text and,
/// escaped, in a document; SQLite accepts it, and some of its functions cut the text there.
pub(super) fn storable(args: &[Arg<'_>]) -> Result<(), Error> {
    let is_fine = |arg: &Arg<'_>| match *arg {
        Arg::Text(text) | Arg::MaybeText(Some(text)) => !text.contains('\0') && !escapes_nul(text),
        Arg::MaybeText(None) | Arg::Int(_) | Arg::MaybeInt(_) | Arg::Bytes(_) => true,
    };
    if args.iter().all(is_fine) {
        Ok(())
    } else {
        Err(Error::Unstorable)
    }
}

/// Returns whether a JSON document contains U+0000: `\u0000` after an even number of backslashes.
fn escapes_nul(text: &str) -> bool {
    let is_document = text.starts_with(['{', '[']);
    let is_escape = |(at, _): (usize, &str)| {
        text[..at]
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'\\')
            .count()
            % 2
            == 0
    };
    is_document && text.match_indices("\\u0000").any(is_escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_changes_rows_is_known_by_its_first_word() {
        for sql in [
            "INSERT INTO a VALUES (1)",
            "/* a.b */ UPDATE a SET b = 1 RETURNING b",
            "\n  /* a.b */\n  DELETE FROM a",
            "REPLACE INTO a VALUES (1)",
            "/* a.b */ WITH c AS (SELECT 1) INSERT INTO a SELECT * FROM c",
            "/* a.b */ WITH RECURSIVE c (d) AS (SELECT 1) DELETE FROM a",
        ] {
            assert!(changes(sql), "{sql}");
        }
        for sql in [
            "SELECT 1",
            "/* UPDATE */ SELECT 1",
            "/* a.lock */\n SELECT id FROM a FOR NO KEY UPDATE",
            "PRAGMA defer_foreign_keys = ON",
            "/* a.b */\n WITH RECURSIVE c (d) AS (SELECT 1) SELECT d FROM c",
            "SET CONSTRAINTS ALL DEFERRED",
        ] {
            assert!(!changes(sql), "{sql}");
        }
    }

    #[test]
    fn no_text_with_a_nul_gets_to_a_database_plain_or_escaped() {
        let document = |text: &str| serde_json::json!({ "a": text }).to_string();
        for bad in [
            "\0".to_owned(),
            "a\0b".into(),
            document("\0"),
            document("a\0"),
            document("\\\0"),
            format!("[{}]", document("\0")),
        ] {
            assert!(
                matches!(
                    storable(&[Arg::Int(1), Arg::Text(&bad)]),
                    Err(Error::Unstorable)
                ),
                "{bad}"
            );
            assert!(
                matches!(
                    storable(&[Arg::MaybeText(Some(&bad))]),
                    Err(Error::Unstorable)
                ),
                "{bad}"
            );
        }
        for good in [
            String::new(),
            "a".into(),
            "\\u0000".into(),
            document("\\u0000"),
            document("\\\\u0000"),
            document("u0000"),
            document("\u{1}"),
        ] {
            assert!(
                storable(&[Arg::Text(&good), Arg::MaybeText(None), Arg::Bytes(&[0])]).is_ok(),
                "{good}"
            );
        }
    }
}
