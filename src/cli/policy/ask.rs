//! Questions to the policy about recordings in the vault: `why-not` and `diff`.

use std::{
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    app::{App, read_rules},
    cli::{
        failure::Failure,
        out::{self, Out},
    },
    flow::{Asking, Why},
    model::{
        id::{RecordingId, TokenId},
        media::MediaKind,
        numerals::{self, counted},
    },
    policy::Diff,
};

pub(super) async fn why_not(
    mut app: App,
    recording: RecordingId,
    token: TokenId,
    asking: &Asking<'_>,
    out: Out,
) -> Result<ExitCode, Failure> {
    let flow = app.flow_as_served().await?;
    let why = flow.policies.why_not(recording, token, asking).await?;
    out.facts(&why, || told(&why))?;
    Ok(if why.allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn told(why: &Why) -> String {
    let Why {
        recording_id,
        kind,
        principal,
        token,
        purpose,
        policy_version,
        pinned_version,
        ..
    } = why;
    let versions = format!(
        "a {kind}; version {policy_version} is in force, the recording is pinned to version {pinned_version}"
    );
    if let Some((view, until)) = why.view.zip(why.until) {
        return format!(
            "{principal} may, with {token}, open {recording_id} for {purpose}: {view}, until \
             {until} if requested now ({versions}).\n"
        );
    }
    let mut text = format!(
        "{principal} may not, with {token}, open {recording_id} for {purpose} ({versions}):\n"
    );
    for reason in &why.reasons {
        text += &format!(
            "\n{} (clause {}, version {})\n  {}\n  Required change: {}.\n",
            reason.code, reason.clause, reason.version, reason.text, reason.way_out
        );
    }
    text
}

/// The number of recordings between two lines of progress.
const SAY_EVERY: u64 = 20_000;

pub(super) async fn diff(mut app: App, new: &Path, out: Out) -> Result<ExitCode, Failure> {
    let new = read_rules(new)?;
    let flow = app.flow_as_served().await?;
    let said = AtomicU64::new(0);
    let say = |counted: u64| {
        if counted >= said.load(Ordering::Relaxed) + SAY_EVERY {
            said.store(counted, Ordering::Relaxed);
            out::progress(
                "diff",
                &numerals::counted(counted, "recording", "recordings"),
            );
        }
    };
    let diff = flow.policies.diff(new, &say).await?;
    out.facts(&diff, || compared(&diff))?;
    Ok(ExitCode::SUCCESS)
}

fn compared(diff: &Diff) -> String {
    let mut text = format!(
        "From version {} to version {}, over {}, as of {}.\n\n{:<24} {:>10} {:>10} {:>10} {:>10}\n",
        diff.from_version,
        diff.to_version,
        counted(diff.recordings, "recording", "recordings"),
        diff.at,
        "purpose",
        "opens",
        "would open",
        "gained",
        "lost"
    );
    for tally in &diff.purposes {
        let name = &tally.purpose;
        let now = tally.opens_now;
        let then = tally.opens_then;
        let gained = tally.gained;
        let lost = tally.lost;
        text += &format!(
            "{:<24} {now:>10} {then:>10} {gained:>10} {lost:>10}\n",
            name.as_str()
        );
        // Of calls alone there is nothing to add.
        let has_others = diff.kinds.keys().any(|kind| *kind != MediaKind::CallAudio);
        for (kind, of_kind) in tally.kinds.iter().filter(|_| has_others) {
            let now = of_kind.opens_now;
            let then = of_kind.opens_then;
            text += &format!("  {:<22} {now:>10} {then:>10}\n", kind.as_str());
        }
    }
    if diff.to_revoked_now != diff.to_revoked_then {
        text += &format!(
            "\nWhat others wrote to a person who revokes: {} now, {} under the new version.\n",
            diff.to_revoked_now, diff.to_revoked_then
        );
    }
    text + &format!(
        "\nDue by retention: {} now, {} immediately under the new version.\n",
        diff.due_now, diff.due_then
    )
}
