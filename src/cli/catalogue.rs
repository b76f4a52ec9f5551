//! `recvault recordings`: the catalogue, as in `GET /v1/recordings`.

use std::{collections::BTreeMap, process::ExitCode};

use clap::{Args, Subcommand};

use super::{
    failure::{Failure, or_no_recording},
    moment::moment,
    out::{self, Out},
    person, token,
};
use crate::{
    api::{DetailsBody, RecordingBody},
    app::App,
    db::recordings::{RecordingFilter, RecordingSort, SubjectFilter},
    flow::{Flow, RecordingDetails},
    model::{
        id::RecordingId,
        name::{Label, Tier},
        numerals::counted,
        recording::{Recording, RecordingState},
        sid::{AccountSid, CallSid, ConferenceSid, SourceSid},
        text::LabelValue,
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// Lists and shows recordings.
#[derive(Subcommand)]
pub(super) enum RecordingsCommand {
    /// Lists recordings, the newest announced first.
    List(Box<ListRecordings>),
    /// Shows a recording with its sealed objects, holds, receipt and copies at the source.
    Show {
        /// The recording.
        recording: RecordingId,
    },
}

/// Which recordings, and how many.
#[derive(Args)]
pub(super) struct ListRecordings {
    /// Only recordings in this state.
    #[arg(long)]
    state: Option<RecordingState>,
    /// Only recordings of this tier.
    #[arg(long)]
    tier: Option<Tier>,
    /// Only recordings of this account.
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// Only recordings of this call.
    #[arg(long, value_name = "SID")]
    call: Option<CallSid>,
    /// Only recordings of this conference.
    #[arg(long, value_name = "SID")]
    conference: Option<ConferenceSid>,
    /// Only the recording with this SID.
    #[arg(long, value_name = "SID")]
    recording_sid: Option<SourceSid>,
    /// Only recordings with this label; repeatable, with all of them.
    #[arg(long = "label", value_name = "LABEL=VALUE", value_parser = token::attribute)]
    labels: Vec<(Label, LabelValue)>,
    /// Only recordings of conversations in which this person has a place; `-`: the first line of
    /// standard input.
    #[arg(long, value_name = "NUMBER")]
    subject: Option<String>,
    /// Only from this date or time on, of the time by which the list is sorted.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    since: Option<Timestamp>,
    /// Only before this date or time.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    until: Option<Timestamp>,
    /// The order, such as `-announced_at` (newest first) or `sealed_at`.
    #[arg(long, default_value = "-announced_at", allow_hyphen_values = true)]
    sort: RecordingSort,
    /// Maximum number of recordings.
    #[arg(long, default_value_t = 100)]
    limit: u64,
}

impl RecordingsCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let flow = app.flow_to_read().await?;
        let permit = Permit::of_operator(action::Catalogue);
        match self {
            Self::List(wanted) => wanted.perform(&flow, &permit, out).await?,
            Self::Show { recording: id } => {
                let details = flow.catalogue.show(&permit, id).await;
                let details = details.map_err(or_no_recording(id))?;
                let text = shown(&details);
                out.facts(&DetailsBody::from(details), || text)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ListRecordings {
    async fn perform(
        self,
        flow: &Flow,
        permit: &Permit<action::Catalogue>,
        out: Out,
    ) -> Result<(), Failure> {
        let limit = self.limit;
        let filter = self.filter(flow)?;
        let (found, is_cut) = found(flow, permit, filter, limit).await?;
        out.none_if(found.is_empty(), "recordings");
        let lines: String = found.iter().map(line).collect();
        let facts: Vec<RecordingBody> = found.into_iter().map(RecordingBody::from).collect();
        out.facts(&facts, || lines)?;
        if is_cut {
            out::warn("there are more recordings: raise `--limit`, or narrow the list");
        }
        Ok(())
    }

    fn filter(self, flow: &Flow) -> Result<RecordingFilter, Failure> {
        let subject = self.subject.as_deref().map(person::address).transpose()?;
        let subject = subject.map(|address| {
            let permit = Permit::of_operator(action::Consent);
            SubjectFilter::by(&permit, flow.vault.subject(&address))
        });
        Ok(RecordingFilter {
            state: self.state,
            tier: self.tier,
            account: self.account,
            call: self.call,
            conference: self.conference,
            recording_sid: self.recording_sid,
            labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
            subject,
            since: self.since,
            until: self.until,
            sort: self.sort,
            ..RecordingFilter::default()
        })
    }
}

/// Returns up to `limit` recordings, and whether there are more.
async fn found(
    flow: &Flow,
    permit: &Permit<action::Catalogue>,
    mut filter: RecordingFilter,
    limit: u64,
) -> Result<(Vec<Recording>, bool), Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    loop {
        let page = flow.catalogue.list(permit, filter.clone(), 1000).await?;
        found.extend(page.items);
        if found.len() > limit {
            found.truncate(limit);
            return Ok((found, true));
        }
        filter.after = page.next;
        if filter.after.is_none() {
            return Ok((found, false));
        }
    }
}

fn line(recording: &Recording) -> String {
    format!(
        "{}  {}  {}  announced {}  {}\n",
        recording.id,
        recording.state,
        recording.tier,
        recording.announced_at,
        recording.source_ref.sid()
    )
}

fn shown(details: &RecordingDetails) -> String {
    let recording = &details.recording;
    let mut rows: Vec<(&str, String)> = vec![
        ("recording", recording.id.to_string()),
        ("kind", recording.kind().to_string()),
        ("state", recording.state.to_string()),
        ("tier", recording.tier.to_string()),
        ("policy", format!("version {}", recording.policy_version)),
        ("account", recording.account().to_string()),
        ("SID", recording.source_ref.sid().to_owned()),
    ];
    let mut add = |name: &'static str, value: Option<String>| {
        rows.extend(value.map(|value| (name, value)));
    };
    add("call", recording.call.as_ref().map(ToString::to_string));
    add(
        "conference",
        recording.conference.as_ref().map(ToString::to_string),
    );
    let seconds = recording
        .duration_s
        .map(|seconds| counted(seconds, "second", "seconds"));
    add("duration", seconds);
    let at = |time: Option<Timestamp>| time.map(|at| at.to_string());
    add("announced", at(Some(recording.announced_at)));
    add("sealed", at(recording.sealed_at));
    add("revoked", at(recording.revoked_at));
    add("quarantine", at(recording.quarantine_ends));
    add("shredded", at(recording.shredded_at));
    add("receipt", details.receipt.map(|id| id.to_string()));
    for (label, value) in &recording.labels {
        rows.push(("label", format!("{label}={value}")));
    }
    for sealed in &details.artefacts {
        let bytes = counted(sealed.sealed_len, "sealed byte", "sealed bytes");
        rows.push(("object", format!("{}, {bytes}", sealed.artefact.word())));
    }
    for hold in details.holds.iter().flatten() {
        rows.push((
            "hold",
            format!("{}, to be reviewed by {}", hold.name, hold.review_at),
        ));
    }
    rows.push(("at source", details.source.state.as_str().to_owned()));
    rows.iter()
        .map(|(name, value)| format!("{name:<12} {value}\n"))
        .collect()
}
