//! Log lines for people are in words: no line at `info` or above shows a value in its `Debug` form.
//!
//! Owns the recognition of such a form. Refuses to know the content of a line.

use super::lexer::Code;

/// The macros of log lines for people.
const MACROS: [&str; 3] = ["info!", "warn!", "error!"];

/// Returns lines at `info` or above with `?field` or `{…:?}`.
pub(super) fn debugged(code: &Code) -> Vec<String> {
    let mut faults = Vec::new();
    for name in MACROS {
        for at in code.words(name) {
            let from = at + name.len();
            let call = &code.code[from..from + call_len(&code.code[from..])];
            let first = code.code[..at].matches('\n').count() + 1;
            let last = first + call.matches('\n').count();
            let is_shown = code.texts.iter().any(|(line, text)| {
                (first..=last).contains(line) && (text.contains(":?}") || text.contains(":#?}"))
            });
            if is_shown || has_debug_field(call) {
                faults.push(format!(
                    "{}: `{name}` logs a `Debug` form: say it in words",
                    code.at(at)
                ));
            }
        }
    }
    faults
}

/// Returns the length of a call, from the opening bracket to the closing one.
fn call_len(code: &str) -> usize {
    let mut depth = 0usize;
    for (offset, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return offset + c.len_utf8();
        }
    }
    code.len()
}

/// Whether a `?` is before a value, as in `?error` and `why = ?error`, and not after one.
fn has_debug_field(call: &str) -> bool {
    call.match_indices('?').any(|(offset, _)| {
        let before = call[..offset].trim_end().chars().next_back();
        before.is_some_and(|c| matches!(c, '(' | ',' | '='))
    }) || call.contains("field::debug(")
}

#[test]
fn a_debug_form_in_a_log_is_found() {
    for (text, is_bad) in [
        (r#"tracing::info!(%error, "it is so");"#, false),
        (r#"tracing::info!(?error, "it is so");"#, true),
        (
            "tracing::warn!(\n    kind,\n    ?decision,\n    \"it is so\"\n);",
            true,
        ),
        (r#"tracing::warn!(why = ?error, "it is so");"#, true),
        (r#"tracing::error!("it is so: {error:?}");"#, true),
        (r#"tracing::error!("it is so: {:?}", error);"#, true),
        (r#"error!(why = tracing::field::debug(error), "so");"#, true),
        (r#"tracing::debug!(?error, "it is so");"#, false),
        (
            r#"tracing::info!(count = all.first()?.len(), "so");"#,
            false,
        ),
        (
            "tracing::info!(\"so\"); let a = format!(\"{error}\");",
            false,
        ),
    ] {
        let code = super::lexer::read("src/x.rs", text);
        assert_eq!(!debugged(&code).is_empty(), is_bad, "{text}");
    }
}
