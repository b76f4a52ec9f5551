//! Commands on behalf of a principal: they present a bearer token, as over HTTP.
//!
//! INVARIANT: the token comes from a file or standard input, so that it appears in no process list
//! and in no shell history; no part of it is printed.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::failure::{CommandRefusal, Failure, FailureCode};
use crate::{
    flow::{Asking, Flow},
    model::{
        access::{Principal, Ticket},
        name::Purpose,
        text::Justification,
    },
};

/// Who asks, and why.
#[derive(clap::Args)]
pub(super) struct Request {
    /// A file with the bearer token of the principal in whose name it is done; `-`: standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: PathBuf,
    /// A purpose of the privacy policy.
    #[arg(long)]
    purpose: Purpose,
    /// The justification, where the purpose requires one.
    #[arg(long, value_name = "TEXT")]
    justification: Option<Justification>,
    /// The number of a case in another system, where the purpose requires one.
    #[arg(long)]
    ticket: Option<Ticket>,
}

impl Request {
    /// Whether the token is read from standard input.
    pub(super) fn reads_input(&self) -> bool {
        self.token_file == Path::new("-")
    }

    /// Returns the request. Its network is unknown: a condition on the network is not met.
    pub(super) fn asking(&self) -> Asking<'_> {
        Asking {
            ticket: self.ticket.clone(),
            ..Asking::new(
                self.purpose.clone(),
                self.justification.as_ref().map(Justification::as_str),
            )
        }
    }

    /// Authenticates the principal.
    pub(super) async fn principal(&self, flow: &Flow) -> Result<Principal, Failure> {
        let token = if self.reads_input() {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            text
        } else {
            fs::read_to_string(&self.token_file)
                .map_err(|error| CommandRefusal::file(&self.token_file, &error))?
        };
        let found = flow.access.authenticate(token.trim()).await?;
        found.ok_or_else(|| {
            CommandRefusal::of(
                FailureCode::Denied,
                "`--token-file`: it holds no valid bearer token; `recvault token list` lists the tokens",
            )
        })
    }
}
