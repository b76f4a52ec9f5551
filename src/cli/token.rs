//! `recvault token`.

use std::{process::ExitCode, time::Duration};

use clap::Subcommand;

use super::{Failure, out::Out};
use crate::{
    app::App,
    flow,
    model::{id::TokenId, name::Role, sid::AccountSid},
};

/// Make, list and revoke bearer tokens.
#[derive(Subcommand)]
pub(super) enum Token {
    /// Make a token; it is shown only once.
    Create {
        /// Your own name for it; names a system rather than a person.
        #[arg(long)]
        label: String,
        /// A role of the policy; may be given several times.
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
        /// An account whose recordings the bearer may know of; may be given several times. Without it: all.
        #[arg(long = "account")]
        accounts: Vec<AccountSid>,
        /// Days until it expires.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
    /// List tokens, without their secrets.
    List,
    /// Revoke a token; grants given to it stop opening at once.
    Revoke {
        /// The token's id, `tok_…`.
        id: TokenId,
    },
}

impl Token {
    pub(super) async fn perform(self, app: App, out: Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { label, roles, accounts, days } => {
                let rules = app.rules()?;
                if let Some(unknown) = roles.iter().find(|role| !rules.document().roles.iter().any(|(known, _)| known == *role)) {
                    return Err(format!("`--role {unknown}`: the policy has no such role").into());
                }
                let lifetime = Duration::from_secs(u64::from(days) * 24 * 3600);
                let made = flow::mint_token(&app.ledger, &app.clock, &label, roles, accounts, lifetime).await?;
                let (id, until, token) = (made.row.id, made.row.expires_at, made.token.expose());
                out.facts(&serde_json::json!({ "id": id, "token": token, "expires_at": until }), || {
                    format!("Token {id}, until {until}. It is shown only now:\n\n  {token}\n")
                })?;
            }
            Self::List => {
                let tokens = flow::list_tokens(&app.ledger).await?;
                let now = app.clock.now();
                out.facts(&tokens, || {
                    let line = |token: &crate::ledger::tokens::TokenRow| {
                        let state = match token.revoked_at {
                            Some(at) => format!("revoked {at}"),
                            None if token.expires_at <= now => format!("expired {}", token.expires_at),
                            None => format!("until {}", token.expires_at),
                        };
                        let roles: Vec<&str> = token.roles.iter().map(Role::as_str).collect();
                        format!("{}  {state}  {}  {}\n", token.id, roles.join(","), token.label)
                    };
                    tokens.iter().map(line).collect()
                })?;
            }
            Self::Revoke { id } => {
                let at = flow::revoke_token(&app.ledger, &app.clock, id).await.map_err(|error| match error {
                    flow::Error::NotFound => format!("no living token `{id}`; `recvault token list` lists them"),
                    other => other.to_string(),
                })?;
                out.facts(&serde_json::json!({ "id": id, "revoked_at": at }), || format!("Revoked {id}.\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
