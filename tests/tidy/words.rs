//! Words that are permitted only in some files, or nowhere.

use super::lexer::Code;

/// Returns suppressed lints, unfinished code, and calls that panic on external input.
pub(super) fn shortcuts(code: &Code) -> Vec<String> {
    let unwraps = found(
        code,
        &[".unwrap()"],
        "return an error, or say with `expect` why it cannot fail",
    );
    unfinished(code).into_iter().chain(unwraps).collect()
}

/// Returns the part of it that is forbidden in tests as well.
pub(super) fn unfinished(code: &Code) -> Vec<String> {
    let looks_away = found(
        code,
        &["#[allow(", "#![allow("],
        "use `#[expect(.., reason = \"..\")]`",
    );
    let undone = found(code, &["todo!(", "unimplemented!(", "dbg!("], "finish it");
    looks_away.into_iter().chain(undone).collect()
}

/// Returns reads of the environment outside the configuration.
pub(super) fn environment(code: &Code) -> Vec<String> {
    if is_in(code, &["src/config"]) {
        return Vec::new();
    }
    found(
        code,
        &["env::var", "env::vars", "env::var_os", "env::vars_os"],
        "only config.rs reads the environment; take a setting",
    )
}

/// Returns uses of files, network, processes and threads in the pure core.
pub(super) fn input_or_output(code: &Code) -> Vec<String> {
    // A secret is read from its file in one place.
    if !is_in(code, &["src/core"]) || is_in(code, &["src/core/secret"]) {
        return Vec::new();
    }
    found(
        code,
        &[
            "fs::",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "process::Command",
            "thread::",
        ],
        "the core computes; read and write in a module of src",
    )
}

/// Returns tasks that are started where they are neither stopped nor restarted.
pub(super) fn tasks(code: &Code) -> Vec<String> {
    // `db/tx.rs`: a started commit runs to its end.
    if is_in(
        code,
        &[
            "src/app/supervise",
            "src/app/listen",
            "src/flow",
            "src/db/tx",
            "src/store/writer",
            "src/demo",
        ],
    ) {
        return Vec::new();
    }
    found(
        code,
        &["tokio::spawn", "task::spawn", "JoinSet"],
        "long-lived tasks start in app/supervise.rs, which restarts them; others in flow, store/writer.rs and demo, where they are also stopped",
    )
}

/// Returns sessions that live for a whole block because they are temporaries in its head: Rust
/// drops those of `for`, `match`, `if let` and `while let` after the block, and a pool of four
/// connections is exhausted when four holders wait in it for another.
pub(super) fn sessions(code: &Code) -> Vec<String> {
    let hits = ["database.read()", "database.snapshot()"]
        .into_iter()
        .flat_map(|call| code.words(call).map(move |at| (call, at)));
    let held = hits.filter(|(call, at)| {
        let before = &code.code[..*at];
        let after = &code.code[at + call.len()..];
        opens_a_block(after) && is_kept_by(head(before))
    });
    held.map(|(call, at)| {
        format!(
            "{}: `{call}` lives as long as the block behind it: bind what it gives to a name first",
            code.at(at)
        )
    })
    .collect()
}

/// Whether the expression continues to a block before its statement ends, outside the enclosing
/// brackets.
fn opens_a_block(after: &str) -> bool {
    let mut depth = 0i32;
    for c in after.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth <= 0 => return true,
            ';' | '}' => return false,
            _ => {}
        }
    }
    false
}

/// Returns the statement up to here.
fn head(before: &str) -> &str {
    let start = before.rfind([';', '{', '}']).map_or(0, |at| at + 1);
    before[start..].trim_start()
}

/// Whether temporaries in this head live until the end of its block. They do not in `if` and
/// `while` with a plain condition, nor in `let … else`.
fn is_kept_by(head: &str) -> bool {
    let has = |word: &str| {
        head.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|found| found == word)
    };
    let is_condition =
        head.starts_with("if ") || head.starts_with("while ") || head.starts_with("} else if ");
    has("match") || has("for") || (is_condition && has("let"))
}

/// Returns uses of the token that permits the destruction of a root, anywhere but where the newest
/// snapshot was just verified.
pub(super) fn restorables(code: &Code) -> Vec<String> {
    if is_in(code, &["src/vault/epoch/custody"]) {
        return Vec::new();
    }
    found(
        code,
        &["Restorable::proven"],
        "only vault/epoch/custody.rs says so, right after it verified the newest snapshot",
    )
}

/// Returns places that permit or forbid writes to a database, anywhere but where it is compared
/// with the store; and that treat one as empty, anywhere but where a vault is created or rebuilt.
pub(super) fn proofs(code: &Code) -> Vec<String> {
    let mut faults = Vec::new();
    if !is_in(
        code,
        &["src/db", "src/vault/rollback", "src/vault/ownership"],
    ) {
        faults.extend(found(
            code,
            &["prove", "close_gate"],
            "a database becomes writable by `Vault::unlock` only",
        ));
    }
    if !is_in(code, &["src/db", "src/vault"]) {
        faults.extend(found(
            code,
            &["first_unit"],
            "an empty database is filled by `Vault::create` and `vault::restore` only",
        ));
    }
    faults
}

/// Returns SQL in texts, outside the database.
pub(super) fn sql(code: &Code) -> Vec<String> {
    /// Words that, in this order, make a statement.
    const STATEMENTS: &[&[&str]] = &[
        &["SELECT", "FROM"],
        &["INSERT", "INTO"],
        &["REPLACE", "INTO"],
        &["UPDATE", "SET"],
        &["DELETE", "FROM"],
        &["CREATE", "TABLE"],
        &["ALTER", "TABLE"],
        &["DROP", "TABLE"],
        &["PRAGMA"],
    ];
    if is_in(code, &["src/db"]) {
        return Vec::new();
    }
    let is_sql = |text: &str| {
        let words: Vec<&str> = text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .collect();
        STATEMENTS.iter().any(|statement| {
            let mut words = words.iter();
            statement
                .iter()
                .all(|wanted| words.any(|word| word == wanted))
        })
    };
    let texts = code.texts.iter().filter(|(_, text)| is_sql(text));
    texts
        .map(|(line, _)| {
            format!(
                "{}:{line}: a query outside the database; make it a function there",
                code.path
            )
        })
        .collect()
}

/// Whether the file is one of these modules, or below it.
fn is_in(code: &Code, modules: &[&str]) -> bool {
    modules.iter().any(|module| {
        code.path
            .strip_prefix(module)
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

fn found(code: &Code, words: &[&str], way_out: &str) -> Vec<String> {
    let hits = words
        .iter()
        .flat_map(|word| code.words(word).map(move |offset| (word, offset)));
    hits.map(|(word, offset)| format!("{}: `{word}`: {way_out}", code.at(offset)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rule: fn(&Code) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&super::super::lexer::read(path, text).without_tests()).len()
    }

    #[test]
    fn shortcuts_are_found_in_code_only() {
        for bad in [
            "#[allow(dead_code)]",
            "#![allow(x)]",
            "fn a() { todo!() }",
            "unimplemented!(\"later\")",
            "dbg!(x)",
            "a\n    .unwrap()\n",
            "x.unwrap();",
        ] {
            assert_eq!(faults(shortcuts, "src/a.rs", bad), 1, "{bad}");
        }
        for good in [
            "x.unwrap_or(1)",
            "// todo!()",
            "\".unwrap()\"",
            "#[cfg(test)]\nmod tests { fn a() { x.unwrap() } }",
            "my_todo!()",
        ] {
            assert_eq!(faults(shortcuts, "src/a.rs", good), 0, "{good}");
        }
        assert_eq!(faults(unfinished, "tests/a.rs", "x.unwrap()"), 0);
        assert_eq!(faults(unfinished, "tests/a.rs", "#[allow(x)] fn a() {}"), 1);
    }

    #[test]
    fn the_environment_is_found() {
        for bad in [
            "std::env::var(\"A\")",
            "env::vars()",
            "std::env::var_os(\"A\")",
        ] {
            assert_eq!(faults(environment, "src/store.rs", bad), 1, "{bad}");
            assert_eq!(faults(environment, "src/configs.rs", bad), 1, "{bad}");
            assert_eq!(faults(environment, "src/config.rs", bad), 0, "{bad}");
            assert_eq!(faults(environment, "src/config/print.rs", bad), 0, "{bad}");
        }
        assert_eq!(
            faults(environment, "src/store.rs", "env::args() ; env!(\"A\")"),
            0
        );
    }

    #[test]
    fn input_and_output_in_the_core_are_found() {
        for bad in ["std::fs::read(x)", "use std::net::TcpStream;"] {
            assert_eq!(faults(input_or_output, "src/core/seal/x.rs", bad), 1);
            assert_eq!(faults(input_or_output, "src/core/secret.rs", bad), 0);
            assert_eq!(faults(input_or_output, "src/store.rs", bad), 0);
        }
    }

    #[test]
    fn restorables_are_found() {
        let said = "fn destroy() { swap(Restorable::proven(epoch)) }";
        for (path, faulty) in [
            ("src/vault/epoch.rs", 1),
            ("src/custody/slot.rs", 1),
            ("src/vault/epoch/custody.rs", 0),
        ] {
            assert_eq!(faults(restorables, path, said), faulty, "{path}");
        }
        assert_eq!(
            faults(
                restorables,
                "src/custody/slot.rs",
                "pub(crate) fn proven(epoch: u64) -> Self { Self { epoch } }"
            ),
            0
        );
    }

    #[test]
    fn tasks_are_found() {
        for bad in [
            "tokio::spawn(x)",
            "use tokio::task::JoinSet;",
            "task::spawn(x)",
        ] {
            assert_eq!(faults(tasks, "src/store.rs", bad), 1, "{bad}");
            assert_eq!(faults(tasks, "src/store/writers.rs", bad), 1, "{bad}");
            assert_eq!(faults(tasks, "src/app/serve.rs", bad), 1, "{bad}");
            for there in [
                "src/app/supervise.rs",
                "src/app/listen.rs",
                "src/flow/work.rs",
                "src/db/tx.rs",
                "src/store/writer.rs",
                "src/demo/world.rs",
            ] {
                assert_eq!(faults(tasks, there, bad), 0, "{bad} in {there}");
            }
        }
        assert_eq!(
            faults(
                tasks,
                "src/vault.rs",
                "task::spawn_blocking(x); thread::spawn(y)"
            ),
            0
        );
    }

    #[test]
    fn sessions_in_the_head_of_a_block_are_found() {
        for bad in [
            "for id in due(&mut self.0.database.read().await?, 1).await? { a(); }",
            "match find(&mut database.read().await?).await? { _ => {} }",
            "let tried = match key(&mut self.0.database.read().await?).await { a => b };",
            "if let Some(id) = id(&mut database.read().await?).await? { a(); }",
            "while let Some(id) = id(&mut database.snapshot().await?).await? { a(); }",
            "a();\nif x && let Some(id) = id(&mut database.read().await?).await? { a(); }",
        ] {
            assert_eq!(faults(sessions, "src/flow/a.rs", bad), 1, "{bad}");
        }
        for good in [
            "let due = due(&mut database.read().await?).await?; for id in due { a(); }",
            "if !is(&mut database.read().await?).await? { a(); }",
            "while !is(&mut database.read().await?).await? { a(); }",
            "let Some(id) = find(&mut database.read().await?).await? else { return };",
            "let mut tx = database.read().await?; match x { _ => {} }",
            "f(async || find(&mut database.read().await?).await, { 1 });",
        ] {
            assert_eq!(faults(sessions, "src/flow/a.rs", good), 0, "{good}");
        }
    }

    #[test]
    fn another_way_into_the_database_is_found() {
        for bad in [
            "app.database.prove(&[]).await?",
            "database.close_gate(x)",
            "database . first_unit(x)",
        ] {
            assert_eq!(faults(proofs, "src/cli/token.rs", bad), 1, "{bad}");
            assert_eq!(faults(proofs, "src/db/open.rs", bad), 0, "{bad}");
        }
        assert_eq!(
            faults(
                proofs,
                "src/vault/rollback.rs",
                "database.prove(x); database.close_gate(y)"
            ),
            0
        );
        assert_eq!(
            faults(proofs, "src/vault/restore.rs", "database.first_unit(x)"),
            0
        );
        assert_eq!(
            faults(proofs, "src/drill/canary.rs", "database.first_unit(x)"),
            1
        );
        assert_eq!(
            faults(
                proofs,
                "src/vault/epoch.rs",
                "// prove it\nlet proven = improve();"
            ),
            0
        );
    }

    #[test]
    fn queries_are_found_in_texts_only() {
        for bad in [
            "\"SELECT a\n FROM b\"",
            "r#\"/* x */ INSERT INTO a\"#",
            "\"UPDATE a SET b = 1\"",
            "\"DELETE FROM a\"",
            "\"PRAGMA x\"",
        ] {
            assert_eq!(faults(sql, "src/vault.rs", bad), 1, "{bad}");
            assert_eq!(faults(sql, "src/db/work.rs", bad), 0, "{bad}");
        }
        for good in [
            "\"UPDATE\"",
            "\"select it from the list\"",
            "\"FROM SELECT\"",
            "// SELECT a FROM b",
            "\"PRAGMATIC\"",
        ] {
            assert_eq!(faults(sql, "src/vault.rs", good), 0, "{good}");
        }
    }
}
