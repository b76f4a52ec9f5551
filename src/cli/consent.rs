//! `recvault consent`.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};

use super::{
    failure::{CommandRefusal, Failure},
    moment::moment,
    out::{Out, indented},
    person,
};
use crate::{
    app::App,
    db::consents::ConsentRow,
    flow::{About, ImportFormat, MAX_FILE, NewStatement},
    model::{
        consent::{Answer, Method, Whom},
        name::{LegName, Purpose},
        numerals::counted,
        subject::Conversation,
        text::Reference,
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// Records and lists statements of consent.
#[derive(Subcommand)]
pub(super) enum ConsentCommand {
    /// Imports a file of statements: all of them, or none. Repeating the import changes nothing.
    ///
    /// Columns or members: subject (a number) or call or conference (a SID) with or without leg;
    /// purposes (separated by `;` in CSV; none: all), answer (given, declined, withdrawn, informed), method,
    /// evidence, disclosure (the text) or disclosure_sha256, policy_version, at (RFC 3339).
    Import {
        /// The file; `-`: standard input.
        file: PathBuf,
        /// `csv` (with a header row) or `jsonl`. Without it, the file's extension decides.
        #[arg(long)]
        format: Option<ImportFormat>,
        /// Only show which statements would be recorded.
        #[arg(long)]
        dry_run: bool,
    },
    /// Lists the statements of a person, oldest first.
    List {
        /// The person's number in international form, or an address with `sip:` or `client:`; `-`:
        /// the first line of standard input, so that it stays out of the shell's history.
        #[arg(long)]
        subject: String,
    },
    /// Records one statement.
    Record(Box<One>),
}

/// One statement.
#[derive(Args)]
pub(super) struct One {
    /// The person: a number in international form, or an address with `sip:` or `client:`; `-`: the
    /// first line of standard input.
    #[arg(long, required_unless_present = "conversation", conflicts_with_all = ["conversation", "leg"])]
    subject: Option<String>,
    /// The call or conference whose participants the statement is about, by its SID.
    #[arg(long = "call", value_name = "SID")]
    conversation: Option<Conversation>,
    /// Restrict to the participant in this place of the call or conference.
    #[arg(long)]
    leg: Option<LegName>,
    /// A purpose of the policy, or `recording`; repeatable. Without it: all.
    #[arg(long = "purpose")]
    purposes: Vec<Purpose>,
    /// `given`, `declined`, `withdrawn` or `informed`.
    #[arg(long)]
    answer: Answer,
    /// `contract`, `announcement`, `speech`, `keypad`, `sms`, `web-form`, `letter` or `import`.
    #[arg(long)]
    method: Method,
    /// The location of the evidence; stored sealed.
    #[arg(long)]
    evidence: Option<Reference>,
    /// The policy version in force at the statement. Without it: the current version, unless `--at`
    /// is given.
    #[arg(long)]
    policy_version: Option<String>,
    /// The time of the statement, RFC 3339. Without it: now.
    #[arg(long, value_parser = moment)]
    at: Option<Timestamp>,
}

impl ConsentCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let only_reads = matches!(self, Self::List { .. } | Self::Import { dry_run: true, .. });
        let flow = app.flow_for(only_reads).await?;
        let permit = Permit::of_operator(action::Consent);
        match self {
            Self::Import {
                file,
                format,
                dry_run,
            } => {
                let bytes = read(&file)?;
                let format = format.map_or_else(|| by_ending(&file), Ok)?;
                let imported = flow
                    .consents
                    .import(&permit, format, &bytes, dry_run)
                    .await?;
                out.facts(&serde_json::json!({ "dry_run": dry_run, "imported": imported }), || {
                    let all = imported.statements;
                    let fresh = imported.fresh;
                    let settled = imported.settled;
                    let statements = counted(fresh, "statement", "statements");
                    let known = all - fresh;
                    if dry_run {
                        let ids = indented(&imported.would_record);
                        return format!(
                            "Would record {statements}; known before: {known} of {all}. Nothing was done.\n{ids}"
                        );
                    }
                    format!(
                        "Recorded {statements}; known before: {known} of {all}. {} released from quarantine, \
                         {} put in it.\n",
                        counted(settled.released, "recording", "recordings"),
                        settled.quarantined
                    )
                })?;
            }
            Self::List { subject } => {
                let subject = person::address(&subject)?;
                let mut all = Vec::new();
                let mut after = None;
                loop {
                    let page = flow.consents.of(&permit, &subject, after, 1000).await?;
                    all.extend(page.items);
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                let facts: Vec<_> = all.iter().map(facts).collect();
                out.none_if(all.is_empty(), "statements");
                out.facts(&facts, || all.iter().map(line).collect())?;
            }
            Self::Record(one) => {
                let told = one.read()?;
                let recorded = flow.consents.record(&permit, vec![told]).await?;
                let id = recorded.ids.first();
                let fresh = recorded.fresh == 1;
                out.facts(
                    &serde_json::json!({ "id": id, "is_new": fresh, "settled": recorded.settled }),
                    || {
                        let id = id.map(ToString::to_string).unwrap_or_default();
                        if fresh {
                            format!("Recorded {id}.\n")
                        } else {
                            format!("{id} was recorded before.\n")
                        }
                    },
                )?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    fn read(self) -> Result<NewStatement, Failure> {
        let about = match (self.subject, self.conversation) {
            (Some(subject), _) => About::Person(person::address(&subject)?),
            (None, Some(conversation)) => About::Place(conversation, self.leg),
            (None, None) => {
                return Err(CommandRefusal::invalid(
                    "the statement has no subject: give `--subject` or `--call`",
                ));
            }
        };
        Ok(NewStatement {
            about,
            purposes: self.purposes.into_iter().collect::<BTreeSet<_>>(),
            answer: self.answer,
            method: self.method,
            evidence: self.evidence,
            disclosure: None,
            policy_version: self.policy_version,
            at: self.at,
            once: None,
        })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let fault = |error: io::Error| CommandRefusal::file(file, &error);
    let from: Box<dyn io::Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(file).map_err(fault)?)
    };
    let mut bytes = Vec::new();
    // One byte more than allowed, to detect a file that is too large.
    from.take(MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(fault)?;
    Ok(bytes)
}

fn by_ending(file: &Path) -> Result<ImportFormat, Failure> {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => Ok(ImportFormat::Csv),
        Some("jsonl" | "ndjson") => Ok(ImportFormat::Jsonl),
        _ => Err(CommandRefusal::invalid(
            "the file's extension is neither `.csv` nor `.jsonl`: give `--format`",
        )),
    }
}

fn facts(row: &ConsentRow) -> serde_json::Value {
    let said = &row.statement;
    let (conversation, leg) = match &said.whom {
        Whom::Subject(_) => (None, None),
        Whom::Leg(conversation, leg) => (Some(conversation), leg.as_ref()),
    };
    serde_json::json!({
        "id": said.id, "conversation": conversation, "leg": leg, "purposes": said.purposes, "answer": said.answer, "method": said.method,
        "disclosure_sha256": said.disclosure, "policy_version": said.policy_version, "at": said.at, "recorded_at": said.recorded_at,
        "recorded_by": row.recorded_by,
    })
}

fn line(row: &ConsentRow) -> String {
    let said = &row.statement;
    let purposes: Vec<&str> = said.purposes.iter().map(Purpose::as_str).collect();
    let purposes = if purposes.is_empty() {
        "all purposes".to_owned()
    } else {
        purposes.join(", ")
    };
    let place = match &said.whom {
        Whom::Subject(_) => String::new(),
        Whom::Leg(conversation, None) => format!("  everybody in {conversation}"),
        Whom::Leg(conversation, Some(leg)) => format!("  {leg} in {conversation}"),
    };
    format!(
        "{}  {}  {} by {}: {purposes}{place}\n",
        said.id, said.at, said.answer, said.method
    )
}
