//! `recvault policy test`: decides a table of cases by a policy file.

use std::{fs, path::Path, process::ExitCode};

use crate::{
    cli::{
        failure::{CommandRefusal, Failure, FailureCode},
        out::Out,
    },
    model::{numerals::counted, time::Clock},
    policy::{CaseOutcome, Cases, Rulebook, Rules},
};

pub(super) fn test(rules: &Rules, file: &Path, out: Out) -> Result<ExitCode, Failure> {
    let text = fs::read_to_string(file).map_err(|error| CommandRefusal::file(file, &error))?;
    let cases = Cases::parse(&text).map_err(|error| CommandRefusal::content(file, error))?;
    let rulebook = Rulebook::new(
        Rules::parse("policy", rules.text()).map_err(|_| {
            CommandRefusal::of(
                FailureCode::Policy,
                "the policy file cannot be parsed a second time; run `recvault policy check`",
            )
        })?,
        [],
    );
    let outcomes = cases.decide(&rulebook, Clock::System.now());
    let failed: Vec<&CaseOutcome> = outcomes.iter().filter(|outcome| !outcome.holds).collect();
    let facts = serde_json::json!({ "version": rules.version(), "digest": rules.digest(), "cases": cases.len(), "failed": failed });
    out.facts(&facts, || {
        let mut text = String::new();
        for outcome in &failed {
            let expected = outcome.expected.join(", ");
            let found = outcome.found.join(", ");
            text += &format!(
                "failed: {}\n  expected  {expected}\n  found     {found}\n",
                outcome.name
            );
        }
        text + &format!(
            "{} of {} under version {}.\n",
            cases.len() - failed.len(),
            counted(cases.len(), "case holds", "cases hold"),
            rules.version()
        )
    })?;
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
