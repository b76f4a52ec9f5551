//! What a recording at Twilio asks of the vault. Pure: values in, a step out.

use std::time::Duration;

use crate::{
    ledger::work::Standing,
    model::{
        recording::{Recording, State},
        time::Timestamp,
    },
    twilio::{DeleteSource, rest::RecordingResource},
};

/// Dead work is taken up again by itself after this, as long as Twilio lists the recording: what
/// was refused in the evening may be put right in the morning. A person who asks need not wait.
const DEAD_FOR: Duration = Duration::from_secs(6 * 3600);

/// What the vault has of a recording.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// The catalogue's row.
    pub(super) recording: Option<&'a Recording>,
    /// The work to fetch it.
    pub(super) fetch: Option<Standing>,
    /// The work to delete Twilio's copies.
    pub(super) erase: Option<Standing>,
}

/// How Twilio's copies of the account are dealt with, and who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) delete_source: DeleteSource,
    /// How long after sealing a transcript is waited for.
    pub(super) await_transcript: Duration,
    /// Whether a person asks.
    pub(super) by_hand: bool,
    pub(super) now: Timestamp,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Nothing,
    /// Make it known.
    Announce,
    /// Tell what is known of it now: more than the vault has heard.
    Advance,
    /// Ask for the work to fetch it.
    Fetch,
    /// Ask for the work to delete it at Twilio.
    Erase,
    /// Nobody can have it.
    Ghost,
}

/// What a listed recording needs.
pub(super) fn step(listed: &RecordingResource, known: Known<'_>, terms: Terms) -> Step {
    let status = listed.status.as_str();
    let may_begin = |work: Option<Standing>| may_begin(work, terms);
    let Some(recording) = known.recording else {
        return match status {
            "completed" | "absent" => Step::Announce,
            "deleted" => Step::Ghost,
            // It still runs. Its callback is to come when it is over; if none comes, a later
            // comparison finds it, and knows that none came.
            _ => Step::Nothing,
        };
    };
    match (recording.state, status) {
        (State::Announced, "deleted") => Step::Ghost,
        (State::Announced, "completed") if recording.source_status == "completed" => {
            if may_begin(known.fetch) {
                Step::Fetch
            } else {
                Step::Nothing
            }
        }
        (State::Announced | State::Absent | State::Failed, "completed")
            if recording.source_status != "completed" =>
        {
            Step::Advance
        }
        (State::Announced, "absent") if recording.source_status != "completed" => Step::Advance,
        (State::Sealed, "completed") => {
            let is_over = recording
                .sealed_at
                .is_some_and(|at| at.after(terms.await_transcript) <= terms.now);
            let due = terms.delete_source == DeleteSource::AfterSealing && is_over;
            if due && may_begin(known.erase) {
                Step::Erase
            } else {
                Step::Nothing
            }
        }
        (State::Shredded, status)
            if status != "deleted" && terms.delete_source != DeleteSource::Never =>
        {
            if may_begin(known.erase) {
                Step::Erase
            } else {
                Step::Nothing
            }
        }
        _ => Step::Nothing,
    }
}

/// Whether work is to be asked for: there is none, or it is dead for long enough.
fn may_begin(work: Option<Standing>, terms: Terms) -> bool {
    work.is_none_or(|work| work.dead && (terms.by_hand || work.due_at.after(DEAD_FOR) <= terms.now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn listed(status: &str) -> RecordingResource {
        let json = serde_json::json!({
            "sid": format!("RE{}", "1".repeat(32)), "account_sid": format!("AC{}", "0".repeat(32)), "status": status,
        });
        serde_json::from_value(json).unwrap()
    }

    fn terms(delete_source: DeleteSource) -> Terms {
        Terms {
            delete_source,
            await_transcript: Duration::from_secs(3600),
            by_hand: false,
            now: NOW,
        }
    }

    fn known(state: State, source_status: &str) -> Recording {
        let long_ago = NOW.before(Duration::from_secs(7200));
        Recording {
            state,
            source_status: source_status.into(),
            ..crate::samples::recording(long_ago)
        }
    }

    fn needs(status: &str, state: State, told: &str) -> Step {
        let recording = known(state, told);
        step(
            &listed(status),
            Known {
                recording: Some(&recording),
                ..Known::default()
            },
            terms(DeleteSource::AfterShredding),
        )
    }

    #[test]
    fn what_is_not_known_is_made_known_when_it_is_over() {
        let unknown = |status: &str| {
            step(
                &listed(status),
                Known::default(),
                terms(DeleteSource::AfterShredding),
            )
        };
        assert_eq!(
            ["completed", "absent", "deleted"].map(unknown),
            [Step::Announce, Step::Announce, Step::Ghost]
        );
        assert_eq!(
            ["in-progress", "paused", "stopped", "processing", "new-word"].map(unknown),
            [Step::Nothing; 5]
        );
    }

    #[test]
    fn what_is_known_only_goes_forwards() {
        for (status, state, told, expected) in [
            ("completed", State::Announced, "in-progress", Step::Advance),
            ("absent", State::Announced, "in-progress", Step::Advance),
            ("completed", State::Absent, "absent", Step::Advance),
            ("completed", State::Failed, "failed", Step::Advance),
            (
                "in-progress",
                State::Announced,
                "in-progress",
                Step::Nothing,
            ),
            ("absent", State::Announced, "completed", Step::Nothing),
            ("absent", State::Absent, "absent", Step::Nothing),
            ("completed", State::Failed, "completed", Step::Nothing),
            ("in-progress", State::Announced, "completed", Step::Nothing),
            ("deleted", State::Announced, "completed", Step::Ghost),
            ("deleted", State::Announced, "in-progress", Step::Ghost),
            ("deleted", State::Sealed, "completed", Step::Nothing),
            ("deleted", State::Shredded, "completed", Step::Nothing),
            ("deleted", State::Absent, "absent", Step::Nothing),
            ("in-progress", State::Sealed, "completed", Step::Nothing),
        ] {
            assert_eq!(
                needs(status, state, told),
                expected,
                "{status} at the source, {state} and told {told} here"
            );
        }
    }

    #[test]
    fn a_fetch_is_asked_for_where_there_is_none_or_none_any_more() {
        let recording = known(State::Announced, "completed");
        let with = |fetch: Option<Standing>, by_hand: bool| {
            let known = Known {
                recording: Some(&recording),
                fetch,
                erase: None,
            };
            step(
                &listed("completed"),
                known,
                Terms {
                    by_hand,
                    ..terms(DeleteSource::Never)
                },
            )
        };
        let dead = |hours: u64| {
            Some(Standing {
                dead: true,
                due_at: NOW.before(Duration::from_secs(hours * 3600)),
            })
        };
        assert_eq!(with(None, false), Step::Fetch);
        assert_eq!(
            with(
                Some(Standing {
                    dead: false,
                    due_at: NOW
                }),
                true
            ),
            Step::Nothing,
            "it waits, or runs"
        );
        assert_eq!(
            [
                with(dead(5), false),
                with(dead(6), false),
                with(dead(0), true)
            ],
            [Step::Nothing, Step::Fetch, Step::Fetch]
        );
    }

    #[test]
    fn copies_at_the_source_go_when_the_account_says_so() {
        let sealed = known(State::Sealed, "completed");
        let shredded = known(State::Shredded, "completed");
        let with = |recording, status: &str, source, erase| {
            step(
                &listed(status),
                Known {
                    recording: Some(recording),
                    fetch: None,
                    erase,
                },
                terms(source),
            )
        };
        let never = DeleteSource::Never;
        let shredding = DeleteSource::AfterShredding;
        let sealing = DeleteSource::AfterSealing;
        assert_eq!(
            [never, shredding, sealing].map(|source| with(&sealed, "completed", source, None)),
            [Step::Nothing, Step::Nothing, Step::Erase]
        );
        assert_eq!(
            [never, shredding, sealing].map(|source| with(&shredded, "completed", source, None)),
            [Step::Nothing, Step::Erase, Step::Erase]
        );
        assert_eq!(
            with(&shredded, "in-progress", shredding, None),
            Step::Erase,
            "the work stops it first"
        );
        let waits = Some(Standing {
            dead: false,
            due_at: NOW,
        });
        assert_eq!(
            [
                with(&sealed, "completed", sealing, waits),
                with(&shredded, "completed", sealing, waits)
            ],
            [Step::Nothing; 2]
        );
        let lately = Recording {
            sealed_at: Some(NOW.before(Duration::from_secs(3599))),
            ..known(State::Sealed, "completed")
        };
        assert_eq!(
            with(&lately, "completed", sealing, None),
            Step::Nothing,
            "its transcript is waited for"
        );
    }
}
