//! `sources`: the copies of a recording at the source.

use std::process::ExitCode;

use super::{
    failure::{Failure, or_no_recording},
    out::Out,
    residue,
};
use crate::{
    app::App,
    model::{
        id::RecordingId,
        residue::residue_of,
        source::{CopyState, SourceCopy, SourceState},
    },
    policy::{Permit, action},
};

pub(super) async fn show(mut app: App, id: RecordingId, out: Out) -> Result<ExitCode, Failure> {
    let flow = app.flow_to_read().await?;
    let details = flow
        .catalogue
        .show(&Permit::of_operator(action::Catalogue), id)
        .await
        .map_err(or_no_recording(id))?;
    let source = details.source;
    out.facts(&source, || {
        let mut text = match source.state {
            SourceState::Kept => {
                "Kept: no copy is deleted at Twilio, and no deletion is pending.\n"
            }
            SourceState::Pending => "Pending: copies at Twilio are still to be deleted.\n",
            SourceState::NotDeletableYet => {
                "Not deletable yet: Twilio refuses the deletion of a copy until it is complete; the deletion is retried.\n"
            }
            SourceState::Deleted => {
                "Deleted: every copy that was found at Twilio is deleted, and Twilio reports so.\n"
            }
            SourceState::Left => {
                "Left: a copy is stored elsewhere, belongs to another recording, or cannot be known any more.\n"
            }
        }
        .to_owned();
        source.copies.iter().for_each(|copy| text += &line(copy));
        text + &residue::text(&residue_of(&source.copies))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn line(copy: &SourceCopy) -> String {
    let SourceCopy {
        kind,
        sid,
        state,
        found_at,
        deleted_at,
        confirmed_at,
        left_until,
        refused_at,
        redacted_at,
    } = copy;
    let fate = match (state, deleted_at.or(*confirmed_at)) {
        (CopyState::There, _) => format!("present since {found_at} or earlier"),
        (CopyState::Left, _) => "left: delete it where it is stored".to_owned(),
        (CopyState::Kept, _) => {
            "kept: it is a recording of its own, and goes with that one".to_owned()
        }
        (CopyState::Unknown, _) => {
            "unknown: this was gone at Twilio before its copies were listed".to_owned()
        }
        (CopyState::NotDeletableYet, _) => {
            let since = refused_at.unwrap_or(*found_at);
            format!("not deletable since {since}, until it is complete")
        }
        (CopyState::Deleted, Some(at)) => format!("deleted {at}, not confirmed yet"),
        (_, Some(at)) => format!("deleted {at}, confirmed"),
        (_, None) => state.as_str().to_owned(),
    };
    let words = left_until
        .map(|at| format!("; Twilio keeps its metadata until {at}"))
        .unwrap_or_default();
    let redacted = redacted_at
        .map(|at| format!("; its text was removed {at}"))
        .unwrap_or_default();
    format!("  {:<13} {sid}  {fate}{redacted}{words}\n", kind.as_str())
}
