//! `recvault hold`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    failure::{Failure, or_missing, or_no_recording},
    moment::moment,
    out::Out,
};
use crate::{
    app::App,
    db::holds::{HoldFilter, HoldRow},
    evidence::ShredReason,
    flow::{Flow, NewHold},
    model::{
        hold::Authority,
        id::RecordingId,
        name::{HoldName, Purpose},
        numerals::counted,
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// Places, lifts and lists holds, which stop shredding.
#[derive(Subcommand)]
pub(super) enum HoldCommand {
    /// Places a hold on recordings, or changes the hold of that name. Repeating the command changes
    /// nothing.
    Place(PlaceHold),
    /// Lifts a hold. A recording that was revoked meanwhile is shredded when its last hold is
    /// lifted.
    Lift {
        /// The recordings, one or many.
        #[arg(required = true, value_name = "RECORDING")]
        recordings: Vec<RecordingId>,
        /// The hold's name.
        #[arg(long)]
        name: HoldName,
        /// Only show which holds would be lifted, and which recordings shredded.
        #[arg(long)]
        dry_run: bool,
    },
    /// Lists the holds in force, earliest review first.
    List {
        /// Only holds on recordings that would be shredded without them.
        #[arg(long)]
        conflicts: bool,
        /// Only holds whose review is due.
        #[arg(long)]
        due: bool,
    },
}

/// The content of a hold.
#[derive(Args)]
pub(super) struct PlaceHold {
    /// The recordings, one or many.
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<RecordingId>,
    /// The hold's name; a recording has at most one hold of each name.
    #[arg(long)]
    name: HoldName,
    /// The purpose of the policy that the hold keeps open when all others are closed.
    #[arg(long)]
    purpose: Purpose,
    /// A short reason code, such as `litigation`.
    #[arg(long)]
    reason: ShredReason,
    /// The authority that demands the hold, such as a court with its file number; never a person.
    #[arg(long)]
    authority: Authority,
    /// When the need for the hold must be reviewed, as `2027-06-30T00:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    review_at: Timestamp,
}

impl HoldCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let only_reads = matches!(self, Self::List { .. } | Self::Lift { dry_run: true, .. });
        let flow = app.flow_for(only_reads).await?;
        let permit = Permit::of_operator(action::Hold);
        match self {
            Self::Place(wanted) => place(&flow, &permit, wanted, out).await?,
            Self::Lift {
                recordings,
                name,
                dry_run,
            } => lift(&flow, &permit, &recordings, &name, dry_run, out).await?,
            Self::List { conflicts, due } => {
                let filter = HoldFilter {
                    conflicts,
                    review_before: due.then(|| app.clock.now()),
                    ..HoldFilter::default()
                };
                list(&flow, &permit, filter, out).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn place(
    flow: &Flow,
    permit: &Permit<action::Hold>,
    wanted: PlaceHold,
    out: Out,
) -> Result<(), Failure> {
    // Checks all recordings before the first change: a wrong id among many must not leave the
    // others partly done.
    for id in &wanted.recordings {
        flow.catalogue
            .show(&Permit::of_operator(action::Catalogue), *id)
            .await
            .map_err(or_no_recording(*id))?;
    }
    let PlaceHold {
        recordings,
        name,
        purpose,
        reason,
        authority,
        review_at,
    } = wanted;
    let hold = NewHold {
        name,
        purpose,
        reason,
        authority,
        review_at,
    };
    let mut facts = Vec::new();
    let mut text = String::new();
    for id in recordings {
        let placed = flow
            .holds
            .place(permit, id, &hold)
            .await
            .map_err(or_no_recording(id))?;
        text += &format!(
            "Hold {} keeps {id}; review on {}.\n",
            placed.name, placed.review_at
        );
        facts.push(fact(&placed, None));
    }
    Ok(out.facts(&facts, || text)?)
}

async fn lift(
    flow: &Flow,
    permit: &Permit<action::Hold>,
    ids: &[RecordingId],
    name: &HoldName,
    dry_run: bool,
    out: Out,
) -> Result<(), Failure> {
    for id in ids {
        flow.holds
            .lift(permit, *id, name, true)
            .await
            .map_err(|error| {
                or_missing(error, || {
                    format!(
                        "recording `{id}` has no hold `{name}`; `recvault hold list` lists the \
                         holds"
                    )
                })
            })?;
    }
    let mut facts = Vec::new();
    let mut text = String::new();
    for id in ids {
        let lifted = flow.holds.lift(permit, *id, name, dry_run).await?;
        facts.push(json!({
            "recording_id": id, "name": name, "lifted": lifted.is_new, "lifted_at": lifted.hold.lifted_at, "holds_left": lifted.left,
            "receipt_id": lifted.receipt, "would_lift": dry_run && lifted.hold.lifted_at.is_none(), "would_shred": dry_run && lifted.shreds,
        }));
        text += &match (&lifted.hold.lifted_at, lifted.receipt) {
            (None, _) if lifted.shreds => format!(
                "Would lift hold {name}, and shred {id}, which was revoked. Nothing was done.\n"
            ),
            (None, _) => format!(
                "Would lift hold {name} of {id}; {} would remain. Nothing was done.\n",
                counted(lifted.left, "hold", "holds")
            ),
            (Some(_), Some(receipt)) => format!(
                "Hold {name} of {id} is lifted, and the recording is shredded. Receipt {receipt}.\n"
            ),
            (Some(_), None) => format!(
                "Hold {name} of {id} is lifted; {}.\n",
                counted(lifted.left, "hold remains", "holds remain")
            ),
        };
    }
    Ok(out.facts(&facts, || text)?)
}

async fn list(
    flow: &Flow,
    permit: &Permit<action::Hold>,
    mut filter: HoldFilter,
    out: Out,
) -> Result<(), Failure> {
    let mut all = Vec::new();
    loop {
        let page = flow.holds.list(permit, filter.clone(), 1000).await?;
        all.extend(page.items);
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    let facts: Vec<Value> = all
        .iter()
        .map(|(hold, revoked_at)| fact(hold, *revoked_at))
        .collect();
    out.none_if(all.is_empty(), "holds");
    Ok(out.facts(&facts, || {
        let line = |(hold, revoked_at): &(HoldRow, Option<Timestamp>)| {
            let conflict = revoked_at
                .map(|at| format!("  revoked {at}"))
                .unwrap_or_default();
            format!(
                "{}  {}  review {}  for {}  {}  by {}{conflict}\n",
                hold.recording,
                hold.name,
                hold.review_at,
                hold.purpose,
                hold.reason,
                hold.authority
            )
        };
        all.iter().map(line).collect()
    })?)
}

fn fact(hold: &HoldRow, revoked_at: Option<Timestamp>) -> Value {
    json!({
        "recording_id": hold.recording, "name": hold.name, "purpose": hold.purpose, "reason": hold.reason, "authority": hold.authority,
        "review_at": hold.review_at, "placed_at": hold.placed_at, "placed_by": hold.placed_by, "revoked_at": revoked_at,
    })
}
