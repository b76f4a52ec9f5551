//! `recvault conversations`: conversations, as in `GET /v1/conversations`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{
    failure::{Failure, or_missing},
    moment::moment,
    out::{self, Out},
    person,
};
use crate::{
    api::{ConversationBody, ListedConversationBody},
    app::App,
    db::{
        conversations::{ConversationFilter, ConversationSort, ListedConversation},
        recordings::{RecordingSort, SubjectFilter},
    },
    flow::{ConversationDetails, Flow},
    model::{
        sid::AccountSid,
        subject::{Conversation, ConversationKind},
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// Lists and shows conversations.
#[derive(Subcommand)]
pub(super) enum ConversationsCommand {
    /// Lists conversations, the one with the latest recording first.
    List(ListConversations),
    /// Shows a conversation with its participants and its recordings, the earliest first.
    Show {
        /// The conversation.
        conversation: Conversation,
        /// Maximum number of recordings.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
}

/// Which conversations, and how many.
#[derive(Args)]
pub(super) struct ListConversations {
    /// Only conversations of this account.
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// Only conversations of this kind: `call`, `conference`, `chat`, `thread`, `room` or `session`.
    #[arg(long)]
    kind: Option<ConversationKind>,
    /// Only conversations in which this person has a place; `-`: the first line of standard input.
    #[arg(long, value_name = "NUMBER")]
    subject: Option<String>,
    /// Only from this date or time on, of the time by which the list is sorted.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    since: Option<Timestamp>,
    /// Only before this date or time.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    until: Option<Timestamp>,
    /// The order, such as `-latest_at` (latest first) or `began_at`.
    #[arg(long, default_value = "-latest_at", allow_hyphen_values = true)]
    sort: ConversationSort,
    /// Maximum number of conversations.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

impl ConversationsCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let flow = app.flow_to_read().await?;
        let permit = Permit::of_operator(action::Catalogue);
        match self {
            Self::List(wanted) => wanted.perform(&flow, &permit, out).await?,
            Self::Show {
                conversation: id,
                limit,
            } => show(&flow, &permit, id, limit, out).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ListConversations {
    async fn perform(
        self,
        flow: &Flow,
        permit: &Permit<action::Catalogue>,
        out: Out,
    ) -> Result<(), Failure> {
        let limit = self.limit;
        let filter = self.filter(flow)?;
        let page = flow.catalogue.conversations(permit, filter, limit).await?;
        out.none_if(page.items.is_empty(), "conversations");
        let lines: String = page.items.iter().map(line).collect();
        let facts = page.items.into_iter().map(ListedConversationBody::from);
        out.facts(&facts.collect::<Vec<_>>(), || lines)?;
        if page.next.is_some() {
            out::warn("there are more conversations: raise `--limit`, or narrow the list");
        }
        Ok(())
    }

    fn filter(self, flow: &Flow) -> Result<ConversationFilter, Failure> {
        let subject = self.subject.as_deref().map(person::address).transpose()?;
        let subject = subject.map(|address| {
            let permit = Permit::of_operator(action::Consent);
            SubjectFilter::by(&permit, flow.vault.subject(&address))
        });
        Ok(ConversationFilter {
            account: self.account,
            kind: self.kind,
            subject,
            since: self.since,
            until: self.until,
            sort: self.sort,
            ..ConversationFilter::default()
        })
    }
}

fn line(listed: &ListedConversation) -> String {
    format!(
        "{}  {}  {}  began {}  latest {}\n",
        listed.id,
        listed.id.kind(),
        listed.account,
        listed.began_at,
        listed.latest_at
    )
}

async fn show(
    flow: &Flow,
    permit: &Permit<action::Catalogue>,
    id: Conversation,
    limit: u16,
    out: Out,
) -> Result<(), Failure> {
    let sort = RecordingSort::OldestRecorded;
    let details = flow
        .catalogue
        .conversation(permit, id.clone(), sort, None, limit);
    let details = details
        .await
        .map_err(|error| or_missing(error, || format!("there is no conversation `{id}`")))?;
    let text = shown(&details);
    let is_cut = details.recordings.next.is_some();
    out.facts(&ConversationBody::of(details), || text)?;
    if is_cut {
        out::warn(
            "there are more recordings: raise `--limit`, or use `GET /v1/conversations/{id}`",
        );
    }
    Ok(())
}

fn shown(details: &ConversationDetails) -> String {
    let mut text = format!(
        "conversation {}\nkind         {}\naccount      {}\nbegan        {}\nlatest       {}\n",
        details.id,
        details.id.kind(),
        details.account,
        details.began_at,
        details.latest_at
    );
    for party in details.parties.iter().flatten() {
        let known = match party.subject {
            Some(_) => "known",
            None => "not known",
        };
        text += &format!("participant  {}, {known}\n", party.leg);
    }
    for recording in &details.recordings.items {
        let author = recording.author.as_ref();
        text += &format!(
            "{}  {}  {}  {}  {}\n",
            recording.id,
            recording.kind(),
            recording.state,
            recording.collected_at,
            author.map_or("everybody", |author| author.as_str())
        );
    }
    text
}
