//! `recvault grant`: grants to listen.

use std::{io, process::ExitCode};

use clap::Subcommand;
use serde_json::json;

use super::{
    bearer::Request,
    failure::{CommandRefusal, Failure, or_missing, or_no_recording},
    out::{self, Out},
};
use crate::{
    api::{GrantBody, ListedGrantBody, ThreadGrantBody},
    app::App,
    db::grants::{GrantFilter, GrantState, ListedGrant},
    flow::{self, Flow, GrantLister},
    model::{
        grant_object::GrantObject,
        id::{GrantId, PrincipalId, RecordingId},
        name::Purpose,
        subject::Conversation,
    },
    policy::{Permit, action},
    twilio::PublicUrl,
};

/// Lists, requests and ends grants to listen.
#[derive(Subcommand)]
pub(super) enum GrantCommand {
    /// Requests a grant in the name of a principal, as over HTTP, and prints its addresses. Anyone
    /// with an address may listen until the grant ends.
    Create {
        /// The recording, or a conversation: then every message in it that the policy allows.
        object: GrantObject,
        #[command(flatten)]
        request: Request,
        /// Bypass the approval that the recording's tier requires, in an emergency. Only for some
        /// roles, only with a justification; it raises an alarm.
        #[arg(long)]
        break_glass: bool,
    },
    /// Lists grants without their addresses, the latest issued first. A grant is kept for seven days
    /// after it expires.
    List {
        /// Only grants of this principal.
        #[arg(long, value_name = "ID")]
        principal: Option<PrincipalId>,
        /// Only grants for this recording, or over this conversation.
        #[arg(long, value_name = "ID")]
        object: Option<GrantObject>,
        /// Only grants for this purpose.
        #[arg(long)]
        purpose: Option<Purpose>,
        /// Only `living` or `ended` grants.
        #[arg(long)]
        state: Option<GrantState>,
        /// The maximum number of grants; all of them if absent.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
    /// Ends a grant early. Its streams end within seconds, in every process.
    End {
        /// The grant's id, `grt_…`.
        id: GrantId,
    },
}

impl GrantCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Create {
                object,
                request,
                break_glass,
            } => {
                let public = app.config.server.public_url.clone();
                let flow = app.flow_to_decide().await?;
                match object {
                    GrantObject::Recording(recording) => {
                        create(&flow, &public, recording, &request, break_glass, out).await?;
                    }
                    GrantObject::Conversation(conversation) if !break_glass => {
                        create_over(&flow, &public, &conversation, &request, out).await?;
                    }
                    GrantObject::Conversation(_) => {
                        let refused = "an approval is bypassed for one recording, not for a conversation: omit `--break-glass`";
                        return Err(flow::Error::Invalid(refused.into()).into());
                    }
                }
            }
            Self::List {
                principal,
                object,
                purpose,
                state,
                limit,
            } => {
                let flow = app.flow_to_read().await?;
                let filter = GrantFilter {
                    principal,
                    object,
                    purpose,
                    state,
                    ..GrantFilter::default()
                };
                list(&flow, filter, limit, out).await?;
            }
            Self::End { id } => {
                let (flow, ..) = app.flow().await?;
                end(&flow, id, out).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn create(
    flow: &Flow,
    public: &PublicUrl,
    recording: RecordingId,
    request: &Request,
    break_glass: bool,
    out: Out,
) -> Result<(), Failure> {
    let principal = request.principal(flow).await?;
    let mut asking = request.asking();
    asking.break_glass = break_glass;
    let issued = flow.playback.grant(&principal, recording, &asking).await;
    let issued = issued.map_err(or_no_recording(recording))?;
    let body = GrantBody::of(public, &issued);
    let shown = out.secret(&body, || {
        let urls: String = body.urls().map(|url| format!("  {url}\n")).collect();
        format!(
            "Grant {} for {}, until {}. Anyone with an address may listen until then:\n{urls}",
            issued.id,
            issued.grant.purpose(),
            issued.grant.expires_at()
        )
    });
    match shown {
        Ok(()) => Ok(()),
        Err(cause) => Err(take_back(flow, issued.id, &cause).await),
    }
}

async fn create_over(
    flow: &Flow,
    public: &PublicUrl,
    conversation: &Conversation,
    request: &Request,
    out: Out,
) -> Result<(), Failure> {
    let principal = request.principal(flow).await?;
    let asking = request.asking();
    let purpose = asking.purpose.clone();
    let issued = flow
        .playback
        .grant_thread(&principal, conversation, &asking);
    let issued = issued.await.map_err(|error| {
        or_missing(error, || {
            format!("there is no conversation `{conversation}`")
        })
    })?;
    let (id, until) = (issued.id, issued.expires_at);
    let body = ThreadGrantBody::of(public, issued);
    let shown = out.secret(&body, || {
        let urls = body.urls().map(|url| format!("  {url}\n")).concat();
        format!(
            "Grant {id} for {purpose}, until {until}. Anyone with an address may read until then:\n{urls}"
        )
    });
    match shown {
        Ok(()) => Ok(()),
        Err(cause) => Err(take_back(flow, id, &cause).await),
    }
}

/// Ends a grant whose addresses could not be shown.
async fn take_back(flow: &Flow, id: GrantId, cause: &io::Error) -> Failure {
    let permit = Permit::of_operator(action::Revoke);
    let ended = flow.playback.end(&permit, id).await;
    let taken_back =
        ended.map(|_| format!("grant {id}, whose addresses nobody has seen, is ended"));
    CommandRefusal::unseen(cause, taken_back.map_err(Failure::from))
}

async fn list(
    flow: &Flow,
    mut filter: GrantFilter,
    limit: Option<u64>,
    out: Out,
) -> Result<(), Failure> {
    const PAGE: u16 = 1000;
    let lister = GrantLister::Auditor(Permit::of_operator(action::Audit));
    let mut left = limit.unwrap_or(u64::MAX);
    let mut all = Vec::new();
    while left > 0 {
        let size = u16::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = flow.playback.list(&lister, filter.clone(), size).await?;
        left = left.saturating_sub(page.items.len() as u64);
        all.extend(page.items);
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    if filter.after.is_some() {
        out::warn("there are more grants: raise `--limit`, or narrow the list");
    }
    out.none_if(all.is_empty(), "grants");
    let lines: String = all.iter().map(line).collect();
    let facts: Vec<ListedGrantBody> = all.into_iter().map(ListedGrantBody::from).collect();
    Ok(out.facts(&facts, || lines)?)
}

fn line(grant: &ListedGrant) -> String {
    let ListedGrant {
        row,
        principal,
        state,
    } = grant;
    format!(
        "{}  {state}  {}  for {}  to {principal}  issued {}  until {}\n",
        row.id, row.object, row.purpose, row.issued_at, row.expires_at
    )
}

async fn end(flow: &Flow, id: GrantId, out: Out) -> Result<(), Failure> {
    let permit = Permit::of_operator(action::Revoke);
    let ended = flow.playback.end(&permit, id).await;
    ended.map_err(|error| {
        or_missing(error, || {
            format!("there is no grant `{id}`, or it ended long ago")
        })
    })?;
    Ok(out.facts(&json!({ "grant": id, "ended": true }), || {
        format!("Ended {id}.\n")
    })?)
}
