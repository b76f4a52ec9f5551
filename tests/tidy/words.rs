//! Words that may stand only in some places, or nowhere.

use super::lexer::Code;

/// What the lints would be told to look away from, what is not finished, and what panics on a stranger's input.
pub(super) fn shortcuts(code: &Code) -> Vec<String> {
    let unwraps = found(code, &[".unwrap()"], "return an error, or say with `expect` why it cannot fail");
    unfinished(code).into_iter().chain(unwraps).collect()
}

/// The part of it that tests may not do either.
pub(super) fn unfinished(code: &Code) -> Vec<String> {
    let looks_away = found(code, &["#[allow(", "#![allow("], "use `#[expect(.., reason = \"..\")]`");
    let undone = found(code, &["todo!(", "unimplemented!(", "dbg!("], "finish it");
    looks_away.into_iter().chain(undone).collect()
}

/// The environment, read anywhere but in the configuration.
pub(super) fn environment(code: &Code) -> Vec<String> {
    if is_in(code, &["src/config"]) {
        return Vec::new();
    }
    found(code, &["env::var", "env::vars", "env::var_os", "env::vars_os"], "only config.rs reads the environment; take a setting")
}

/// Tasks, started where nobody stops them.
pub(super) fn tasks(code: &Code) -> Vec<String> {
    if is_in(code, &["src/app", "src/flow", "src/store/writer", "src/demo"]) {
        return Vec::new();
    }
    found(
        code,
        &["tokio::spawn", "task::spawn", "JoinSet"],
        "tasks start in app, flow, store/writer.rs and demo, where they are also stopped",
    )
}

/// A ledger that is let write, or kept from it, anywhere but where its memory is compared; and one that counts as empty, anywhere but where a vault is made
/// or rebuilt.
pub(super) fn proofs(code: &Code) -> Vec<String> {
    let mut faults = Vec::new();
    if !is_in(code, &["src/ledger", "src/vault/memory"]) {
        faults.extend(found(code, &["prove", "close_gate"], "a ledger becomes writable by `Vault::unlock` only"));
    }
    if !is_in(code, &["src/ledger", "src/vault"]) || is_in(code, &["src/vault/drill"]) {
        faults.extend(found(code, &["begin_empty"], "an empty ledger is filled by `Vault::create` and `vault::restore` only"));
    }
    faults
}

/// SQL in texts, outside the ledger.
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
    if is_in(code, &["src/ledger"]) {
        return Vec::new();
    }
    let is_sql = |text: &str| {
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        STATEMENTS.iter().any(|statement| {
            let mut words = words.iter();
            statement.iter().all(|wanted| words.any(|word| word == wanted))
        })
    };
    let texts = code.texts.iter().filter(|(_, text)| is_sql(text));
    texts.map(|(line, _)| format!("{}:{line}: a query outside the ledger; make it a function there", code.path)).collect()
}

/// Whether the file is one of these modules, or below it.
fn is_in(code: &Code, modules: &[&str]) -> bool {
    modules.iter().any(|module| code.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')))
}

fn found(code: &Code, words: &[&str], way_out: &str) -> Vec<String> {
    let hits = words.iter().flat_map(|word| code.words(word).map(move |offset| (word, offset)));
    hits.map(|(word, offset)| format!("{}: `{word}`: {way_out}", code.at(offset))).collect()
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
        for good in ["x.unwrap_or(1)", "// todo!()", "\".unwrap()\"", "#[cfg(test)]\nmod tests { fn a() { x.unwrap() } }", "my_todo!()"] {
            assert_eq!(faults(shortcuts, "src/a.rs", good), 0, "{good}");
        }
        assert_eq!(faults(unfinished, "tests/a.rs", "x.unwrap()"), 0);
        assert_eq!(faults(unfinished, "tests/a.rs", "#[allow(x)] fn a() {}"), 1);
    }

    #[test]
    fn the_environment_is_found() {
        for bad in ["std::env::var(\"A\")", "env::vars()", "std::env::var_os(\"A\")"] {
            assert_eq!(faults(environment, "src/store.rs", bad), 1, "{bad}");
            assert_eq!(faults(environment, "src/configs.rs", bad), 1, "{bad}");
            assert_eq!(faults(environment, "src/config.rs", bad), 0, "{bad}");
            assert_eq!(faults(environment, "src/config/print.rs", bad), 0, "{bad}");
        }
        assert_eq!(faults(environment, "src/store.rs", "env::args() ; env!(\"A\")"), 0);
    }

    #[test]
    fn tasks_are_found() {
        for bad in ["tokio::spawn(x)", "use tokio::task::JoinSet;", "task::spawn(x)"] {
            assert_eq!(faults(tasks, "src/store.rs", bad), 1, "{bad}");
            assert_eq!(faults(tasks, "src/store/writers.rs", bad), 1, "{bad}");
            for there in ["src/app.rs", "src/app/serve.rs", "src/flow/work.rs", "src/store/writer.rs", "src/demo/world.rs"] {
                assert_eq!(faults(tasks, there, bad), 0, "{bad} in {there}");
            }
        }
        assert_eq!(faults(tasks, "src/vault.rs", "task::spawn_blocking(x); thread::spawn(y)"), 0);
    }

    #[test]
    fn another_way_into_the_ledger_is_found() {
        for bad in ["app.ledger.prove(&[]).await?", "ledger.close_gate(x)", "ledger . begin_empty()"] {
            assert_eq!(faults(proofs, "src/cli/token.rs", bad), 1, "{bad}");
            assert_eq!(faults(proofs, "src/ledger/open.rs", bad), 0, "{bad}");
        }
        assert_eq!(faults(proofs, "src/vault/memory.rs", "ledger.prove(x); ledger.close_gate(y)"), 0);
        assert_eq!(faults(proofs, "src/vault/restore.rs", "ledger.begin_empty()"), 0);
        assert_eq!(faults(proofs, "src/vault/drill/canary.rs", "ledger.begin_empty()"), 1);
        assert_eq!(faults(proofs, "src/vault/epoch.rs", "// prove it\nlet proven = improve();"), 0);
    }

    #[test]
    fn queries_are_found_in_texts_only() {
        for bad in ["\"SELECT a\n FROM b\"", "r#\"/* x */ INSERT INTO a\"#", "\"UPDATE a SET b = 1\"", "\"DELETE FROM a\"", "\"PRAGMA x\""]
        {
            assert_eq!(faults(sql, "src/vault.rs", bad), 1, "{bad}");
            assert_eq!(faults(sql, "src/ledger/work.rs", bad), 0, "{bad}");
        }
        for good in ["\"UPDATE\"", "\"select it from the list\"", "\"FROM SELECT\"", "// SELECT a FROM b", "\"PRAGMATIC\""] {
            assert_eq!(faults(sql, "src/vault.rs", good), 0, "{good}");
        }
    }
}
