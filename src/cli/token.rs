//! `recvault token`.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::Duration,
};

use clap::Subcommand;

use super::{
    failure::{CommandRefusal, Failure, or_missing},
    out::Out,
};
use crate::{
    app::App,
    flow,
    model::{
        access::PrincipalKind,
        id::TokenId,
        name::{Label, Role},
        sid::AccountSid,
        text::{InvalidText, LabelValue, PrincipalSubject, TokenLabel},
    },
    vault::Vault,
};

/// Creates, lists and revokes bearer tokens.
#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Creates a token. The token is shown only once.
    Create {
        /// Your name for the token; name a system, not a person.
        #[arg(long)]
        label: TokenLabel,
        /// The principal that owns the token: a new or existing name, such as a staff number, or an
        /// existing id. Use the same principal for all tokens of one person: own requests cannot be
        /// approved, and daily budgets count per principal. Without it the token is a principal of
        /// its own.
        #[arg(long, value_name = "NAME")]
        principal: Option<PrincipalSubject>,
        /// The kind of a new principal, `person` or `service`. Without it: `service`.
        #[arg(long)]
        kind: Option<PrincipalKind>,
        /// A role of the policy; repeatable. `[actions]` of the policy lists what a role may do besides
        /// listening: `catalogue`, `shred`, `audit`, `consent`, `revoke`, `hold`, `correct`,
        /// `transcribe`, `export`.
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
        /// An account whose recordings the bearer may see; repeatable. Without it: all accounts.
        #[arg(long = "account")]
        accounts: Vec<AccountSid>,
        /// An attribute for conditions of the policy, as `LABEL=VALUE` with a label that the policy
        /// declares; repeatable.
        #[arg(long = "attribute", value_name = "LABEL=VALUE", value_parser = attribute)]
        attributes: Vec<(Label, LabelValue)>,
        /// Days until the token expires.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
    /// Lists tokens, without their secrets.
    List,
    /// Revokes a token, or all tokens of a principal. Their grants stop opening immediately.
    #[command(group = clap::ArgGroup::new("whose").required(true).args(["id", "principal"]))]
    Revoke {
        /// The token's id, `tok_…`.
        id: Option<TokenId>,
        /// Every token of this principal, by name or id.
        #[arg(long, value_name = "NAME")]
        principal: Option<PrincipalSubject>,
    },
}

impl TokenCommand {
    pub(super) async fn perform(self, app: App, out: Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Create {
                label,
                principal,
                kind,
                roles,
                accounts,
                attributes,
                days,
            } => {
                let rules = app.rules()?;
                if let Some(unknown) = roles.iter().find(|role| {
                    !rules
                        .document()
                        .roles
                        .iter()
                        .any(|(known, _)| known == *role)
                }) {
                    return Err(CommandRefusal::invalid(format!(
                        "`--role {unknown}`: the policy has no such role; declare it under `[roles]`"
                    )));
                }
                let labels = &rules.document().collection.labels;
                if let Some((unknown, _)) =
                    attributes.iter().find(|(label, _)| !labels.contains(label))
                {
                    return Err(CommandRefusal::invalid(format!(
                        "`--attribute {unknown}=…`: the policy declares no such label; add it to \
                         `labels` in `[collection]`"
                    )));
                }
                let mut of_label: BTreeMap<Label, BTreeSet<LabelValue>> = BTreeMap::new();
                for (label, value) in attributes {
                    of_label.entry(label).or_default().insert(value);
                }
                let vault = app.unlock().await?;
                let lifetime = Duration::from_secs(u64::from(days) * 24 * 3600);
                let wanted = flow::NewToken {
                    principal,
                    kind,
                    label,
                    roles,
                    accounts,
                    attributes: of_label,
                    lifetime,
                };
                let made = flow::mint_token(&app.db, &app.clock, wanted).await?;
                let id = made.row.id;
                let until = made.row.expires_at;
                let token = made.token.expose();
                let whose = &made.principal;
                let new = if made.is_new_principal { "new " } else { "" };
                let shown = out.secret(
                    &serde_json::json!({ "id": id, "token": token, "expires_at": until, "principal": whose.id, "subject": whose.subject, "kind": whose.kind }),
                    || {
                        format!(
                            "Token {id} of the {new}{} `{}` ({}), until {until}. It is shown only now:\n\n  {token}\n",
                            whose.kind, whose.subject, whose.id
                        )
                    },
                );
                if let Err(cause) = shown {
                    let taken_back = take_back(&app, &vault, id).await;
                    return Err(CommandRefusal::unseen(&cause, taken_back));
                }
            }
            Self::List => {
                app.unlock_to_read().await?;
                let tokens = flow::list_tokens(&app.db).await?;
                let now = app.clock.now();
                out.none_if(tokens.is_empty(), "tokens");
                out.facts(&tokens, || {
                    let line = |listed: &flow::ListedToken| {
                        let token = &listed.row;
                        let state = match token.revoked_at {
                            Some(at) => format!("revoked {at}"),
                            None if token.expires_at <= now => {
                                format!("expired {}", token.expires_at)
                            }
                            None => format!("until {}", token.expires_at),
                        };
                        let roles: Vec<&str> = token.roles.iter().map(Role::as_str).collect();
                        format!(
                            "{}  {state}  {}  {} {}  {}\n",
                            token.id,
                            roles.join(","),
                            listed.kind,
                            listed.subject,
                            token.label
                        )
                    };
                    tokens.iter().map(line).collect()
                })?;
            }
            Self::Revoke {
                principal: Some(name),
                ..
            } => {
                let vault = app.unlock().await?;
                let revoked = flow::revoke_tokens_of(&app.db, &app.clock, &name)
                    .await
                    .map_err(|error| {
                        or_missing(error, || {
                            format!(
                                "principal `{name}` has no valid token; `recvault token list` lists \
                                 the tokens"
                            )
                        })
                    })?;
                // Confirmed only when a restore would find it, as every withdrawal of access.
                vault.make_durable().await?;
                let whose = revoked.principal.id;
                let ids = &revoked.tokens;
                out.facts(
                    &serde_json::json!({ "principal": whose, "tokens": ids, "revoked_at": revoked.at }),
                    || ids.iter().map(|id| format!("Revoked {id}.\n")).collect(),
                )?;
            }
            Self::Revoke { id, .. } => {
                let id = id.ok_or("no token is named: give a token id, or `--principal`")?;
                let vault = app.unlock().await?;
                let at = flow::revoke_token(&app.db, &app.clock, id)
                    .await
                    .map_err(|error| {
                        or_missing(error, || {
                            format!(
                                "token `{id}` does not exist or is revoked; `recvault token list` \
                                 lists the tokens"
                            )
                        })
                    })?;
                vault.make_durable().await?;
                out.facts(&serde_json::json!({ "id": id, "revoked_at": at }), || {
                    format!("Revoked {id}.\n")
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Revokes a token that nobody has seen. Returns what became of it.
pub(super) async fn take_back(app: &App, vault: &Vault, id: TokenId) -> Result<String, Failure> {
    flow::revoke_token(&app.db, &app.clock, id).await?;
    let how = match vault.make_durable().await {
        Ok(()) => "",
        Err(_) => ", but not durably yet",
    };
    Ok(format!(
        "token {id}, which nobody has seen, is revoked{how}: create another"
    ))
}

/// Parses `LABEL=VALUE`.
pub(super) fn attribute(text: &str) -> Result<(Label, LabelValue), String> {
    let (label, value) = text.split_once('=').ok_or("expected `LABEL=VALUE`")?;
    let label = label
        .parse()
        .map_err(|error: crate::model::name::InvalidName| error.to_string())?;
    Ok((
        label,
        value
            .parse()
            .map_err(|error: InvalidText| format!("the value {error}"))?,
    ))
}
