//! Failures of commands: a text for people, and with `--json` an object with a stable code.
//!
//! Owns the codes, and the one place that prints a failure. Refuses to know the effects of a
//! command. `docs/operations.md` lists the codes.

use std::{
    ffi::OsString,
    fmt,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::error::ErrorKind;
use serde_json::json;

use crate::{
    api::ProblemReason, app, config::ConfigFaults, custody, db, flow, model::id::RecordingId,
    policy::Denial, store, vault,
};

/// The reason why a command failed, as a text for the operator.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The kind of failure. The words are stable.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = crate::model::word::UnknownWord, parse_err_fn = crate::model::word::unknown::<Self>)]
pub(super) enum FailureCode {
    /// The configuration.
    Config,
    /// The request conflicts with the present state.
    Conflict,
    /// The root key.
    Custody,
    /// The database.
    Database,
    /// The policy refuses the request.
    Denied,
    /// Any other failure; the message states the reason.
    Failed,
    /// A file, a socket or a pipe.
    File,
    /// A hold prevents it.
    Held,
    /// The request is invalid.
    Invalid,
    /// The object does not exist.
    NotFound,
    /// The policy file.
    Policy,
    /// The recording is shredded.
    Shredded,
    /// The store of ciphertext, snapshots and journal.
    Store,
    /// The command line.
    Usage,
    /// The vault.
    Vault,
}

crate::model::word::word_set!(FailureCode);

/// A failure with a text of the command line.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct CommandRefusal {
    code: FailureCode,
    text: String,
}

impl CommandRefusal {
    /// Creates a failure: the object does not exist.
    pub(super) fn not_found(text: impl Into<String>) -> Failure {
        Self::of(FailureCode::NotFound, text)
    }

    /// Creates a failure: the request is invalid.
    pub(super) fn invalid(text: impl Into<String>) -> Failure {
        Self::of(FailureCode::Invalid, text)
    }

    /// Creates a failure: the file, which cannot be read or written.
    pub(super) fn file(path: &Path, cause: &io::Error) -> Failure {
        Self::of(FailureCode::File, format!("`{}`: {cause}", path.display()))
    }

    /// Creates a failure: the file, whose content is invalid.
    pub(super) fn content(path: &Path, fault: impl fmt::Display) -> Failure {
        Self::invalid(format!("`{}`: {fault}", path.display()))
    }

    /// Creates a failure: a secret that is shown only once could not be printed. `taken_back` is
    /// what became of it.
    pub(super) fn unseen(cause: &io::Error, taken_back: Result<String, Failure>) -> Failure {
        let outcome = taken_back
            .unwrap_or_else(|why| format!("it could not be taken back, and is still valid: {why}"));
        Self::of(FailureCode::File, format!("{cause}; {outcome}"))
    }

    /// Creates a failure of this kind.
    pub(super) fn of(code: FailureCode, text: impl Into<String>) -> Failure {
        let text = text.into();
        Self { code, text }.into()
    }
}

/// Converts an error; `NotFound` gets a text that names the object.
pub(super) fn or_missing(error: flow::Error, text: impl FnOnce() -> String) -> Failure {
    match error {
        flow::Error::NotFound => CommandRefusal::not_found(text()),
        other => other.into(),
    }
}

/// Converts an error about a recording.
pub(super) fn or_no_recording(id: RecordingId) -> impl Fn(flow::Error) -> Failure {
    move |error| {
        or_missing(error, || {
            format!("recording `{id}` does not exist; `recvault recordings list` lists the ids")
        })
    }
}

/// Prints a failure and returns the exit code 1.
pub(super) fn tell(failure: &Failure, json: bool) -> ExitCode {
    let denial = denial_of(failure);
    let message = denial.map_or_else(|| failure.to_string(), refused);
    if json {
        object(code_of(failure), &message, denial, 1);
    } else {
        let _ = writeln!(io::stderr(), "recvault: {message}");
    }
    ExitCode::FAILURE
}

/// Returns the refusal of the policy, if it is the reason of the failure.
fn denial_of(failure: &Failure) -> Option<&Denial> {
    let error = match failure.downcast_ref::<app::Error>() {
        Some(app::Error::Flow(error)) => Some(error),
        _ => failure.downcast_ref::<flow::Error>(),
    };
    match error {
        Some(flow::Error::Denied(denial)) => Some(denial),
        _ => None,
    }
}

/// The words of a refusal, as the HTTP interface gives them: every reason with its clause.
fn refused(denial: &Denial) -> String {
    let reasons: String = denial
        .refusals()
        .iter()
        .map(|refusal| {
            format!(
                "\n  {} ({}, clause `{}`)",
                refusal.sentence(),
                refusal.reason,
                refusal.clause
            )
        })
        .collect();
    format!("the privacy policy does not allow this:{reasons}")
}

/// Prints the fault of a command line, or the requested help or version. Returns the exit code: 2,
/// or 0.
pub(super) fn usage(error: &clap::Error, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    if error.use_stderr() && wants_json(args) {
        object(FailureCode::Usage, &sentence(error), None, 2);
    } else {
        // If the pipe is closed, the help is not wanted.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn object(code: FailureCode, message: &str, denial: Option<&Denial>, exit_code: u8) {
    let mut object = json!({
        "error": { "code": code.as_str(), "message": message, "exit_code": exit_code },
    });
    if let Some(denial) = denial {
        let reasons: Vec<ProblemReason> = denial.refusals().iter().map(ProblemReason::of).collect();
        object["error"]["reasons"] = json!(reasons);
    }
    let _ = writeln!(io::stderr(), "{object}");
}

/// Whether `--json` is among the options of a command line that cannot be parsed.
fn wants_json(args: impl IntoIterator<Item = OsString>) -> bool {
    args.into_iter()
        .take_while(|arg| arg != "--")
        .any(|arg| arg == "--json")
}

/// Returns clap's message without its heading, the usage and the hints.
fn sentence(error: &clap::Error) -> String {
    // Here clap prints the whole help, or every command.
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    ) {
        return "a command is missing; `recvault --help` lists the commands".to_owned();
    }
    let text = error.render().to_string();
    let text = text.split("\n\n").next().unwrap_or_default();
    text.trim_start_matches("error: ").trim().to_owned()
}

fn code_of(failure: &Failure) -> FailureCode {
    if let Some(refused) = failure.downcast_ref::<CommandRefusal>() {
        return refused.code;
    }
    if let Some(error) = failure.downcast_ref::<app::Error>() {
        return of_app(error);
    }
    if let Some(error) = failure.downcast_ref::<flow::Error>() {
        return of_flow(error);
    }
    if let Some(error) = failure.downcast_ref::<vault::Error>() {
        return of_vault(error);
    }
    if failure.is::<db::Error>() {
        FailureCode::Database
    } else if failure.is::<store::Error>() {
        FailureCode::Store
    } else if failure.is::<custody::Error>() {
        FailureCode::Custody
    } else if failure.is::<ConfigFaults>() {
        FailureCode::Config
    } else if failure.is::<io::Error>() {
        FailureCode::File
    } else {
        FailureCode::Failed
    }
}

fn of_app(error: &app::Error) -> FailureCode {
    match error {
        app::Error::Config(_) | app::Error::Settings(_) | app::Error::ConfigExists(_) => {
            FailureCode::Config
        }
        app::Error::Policy(_) => FailureCode::Policy,
        app::Error::Custody(_) => FailureCode::Custody,
        app::Error::Db(_) => FailureCode::Database,
        app::Error::Store(_) => FailureCode::Store,
        app::Error::Vault(error) => of_vault(error),
        app::Error::Flow(error) => of_flow(error),
        app::Error::Io { .. } => FailureCode::File,
        app::Error::Client(_) | app::Error::Metrics(_) => FailureCode::Failed,
    }
}

fn of_flow(error: &flow::Error) -> FailureCode {
    match error {
        flow::Error::NotFound => FailureCode::NotFound,
        flow::Error::Denied(_) | flow::Error::OwnRequest => FailureCode::Denied,
        flow::Error::Shredded { .. } => FailureCode::Shredded,
        flow::Error::Held(_) => FailureCode::Held,
        flow::Error::Invalid(_) => FailureCode::Invalid,
        flow::Error::Conflict(_) => FailureCode::Conflict,
        flow::Error::Policy(_) => FailureCode::Policy,
        flow::Error::Vault(error) => of_vault(error),
    }
}

fn of_vault(error: &vault::Error) -> FailureCode {
    match error {
        vault::Error::Db(_) => FailureCode::Database,
        vault::Error::Store(_) => FailureCode::Store,
        vault::Error::Custody(_) | vault::Error::NoSlot(_) => FailureCode::Custody,
        vault::Error::Gone => FailureCode::NotFound,
        _ => FailureCode::Vault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_word() {
        crate::samples::words_are::<FailureCode>(
            "config conflict custody database denied failed file held invalid not-found policy \
             shredded store usage vault",
        );
    }

    #[test]
    fn the_code_is_found_however_deep_the_error_is() {
        let failures: [(Failure, FailureCode); 6] = [
            (
                app::Error::Flow(vault::Error::from(db::Error::Conflict).into()).into(),
                FailureCode::Database,
            ),
            (
                flow::Error::from(db::Error::Conflict).into(),
                FailureCode::Database,
            ),
            (flow::Error::NotFound.into(), FailureCode::NotFound),
            (CommandRefusal::invalid("no"), FailureCode::Invalid),
            (
                io::Error::from(io::ErrorKind::NotFound).into(),
                FailureCode::File,
            ),
            ("a text".into(), FailureCode::Failed),
        ];
        for (failure, code) in failures {
            assert_eq!(code_of(&failure), code, "{failure}");
        }
    }

    #[test]
    fn json_is_wanted_by_an_option_only() {
        let wants = |args: &[&str]| wants_json(args.iter().map(OsString::from));
        assert!(wants(&["recvault", "--json", "frobnicate"]));
        assert!(wants(&["recvault", "shred", "--json"]));
        assert!(!wants(&["recvault", "shred", "--", "--json"]));
        assert!(!wants(&["recvault", "--jsonl"]));
    }
}
