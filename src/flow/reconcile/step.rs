//! What a recording at Twilio requires of the vault. Pure: values in, an action out.

use std::time::Duration;

use crate::{
    db::work::WorkStatus,
    model::{
        recording::{Recording, RecordingState},
        time::Timestamp,
    },
    twilio::DeleteSource,
};

/// Dead work is retried after this time, as long as Twilio lists the recording: the cause may have
/// been fixed meanwhile. An operator's request need not wait.
const DEAD_FOR: Duration = Duration::from_secs(6 * 3600);

/// The vault's state of a recording.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VaultRecord<'a> {
    /// The catalogue's row.
    pub(super) recording: Option<&'a Recording>,
    /// The work to fetch it.
    pub(super) fetch: Option<WorkStatus>,
    /// The work to delete Twilio's copies.
    pub(super) erase: Option<WorkStatus>,
}

/// The account's settings for Twilio's copies, and the requester.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReconcileTerms {
    pub(super) delete_source: DeleteSource,
    /// How long after sealing a transcript is waited for.
    pub(super) await_transcript: Duration,
    /// Whether an operator asked.
    pub(super) by_hand: bool,
    pub(super) now: Timestamp,
}

/// The action for a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReconcileAction {
    /// Nothing.
    Nothing,
    /// Announce it.
    Announce,
    /// Announce it again, with more facts than the vault has.
    Advance,
    /// Enqueue its fetch.
    Fetch,
    /// Enqueue its deletion at Twilio.
    Erase,
    /// It cannot be fetched any more.
    Ghost,
}

/// Returns what a listed recording with this status needs.
pub(super) fn step(status: &str, known: VaultRecord<'_>, terms: ReconcileTerms) -> ReconcileAction {
    let may_begin = |work: Option<WorkStatus>| may_begin(work, terms);
    let Some(recording) = known.recording else {
        return match status {
            "completed" | "absent" => ReconcileAction::Announce,
            "deleted" => ReconcileAction::Ghost,
            // It is still running. Its callback is expected at its end; if none arrives, a later
            // comparison finds it and knows that it was missed.
            _ => ReconcileAction::Nothing,
        };
    };
    match (recording.state, status) {
        (RecordingState::Announced, "deleted") => ReconcileAction::Ghost,
        (RecordingState::Announced, "completed") if recording.is_complete_at_source() => {
            if may_begin(known.fetch) {
                ReconcileAction::Fetch
            } else {
                ReconcileAction::Nothing
            }
        }
        (
            RecordingState::Announced | RecordingState::Absent | RecordingState::Failed,
            "completed",
        ) if !recording.is_complete_at_source() => ReconcileAction::Advance,
        (RecordingState::Announced, "absent") if !recording.is_complete_at_source() => {
            ReconcileAction::Advance
        }
        (RecordingState::Sealed, "completed") => {
            let is_over = recording
                .sealed_at
                .is_some_and(|at| at.after(terms.await_transcript) <= terms.now);
            let due = terms.delete_source == DeleteSource::AfterSealing && is_over;
            if due && may_begin(known.erase) {
                ReconcileAction::Erase
            } else {
                ReconcileAction::Nothing
            }
        }
        (RecordingState::Shredded, status)
            if status != "deleted" && terms.delete_source != DeleteSource::Never =>
        {
            if may_begin(known.erase) {
                ReconcileAction::Erase
            } else {
                ReconcileAction::Nothing
            }
        }
        _ => ReconcileAction::Nothing,
    }
}

/// Returns whether to enqueue work: there is none, or it has been dead long enough.
pub(super) fn may_begin(work: Option<WorkStatus>, terms: ReconcileTerms) -> bool {
    work.is_none_or(|work| work.dead && (terms.by_hand || work.due_at.after(DEAD_FOR) <= terms.now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn terms(delete_source: DeleteSource) -> ReconcileTerms {
        ReconcileTerms {
            delete_source,
            await_transcript: Duration::from_secs(3600),
            by_hand: false,
            now: NOW,
        }
    }

    fn known(state: RecordingState, source_status: &str) -> Recording {
        let long_ago = NOW.before(Duration::from_secs(7200));
        Recording {
            state,
            source_status: source_status.into(),
            ..crate::samples::recording(long_ago)
        }
    }

    fn needs(status: &str, state: RecordingState, told: &str) -> ReconcileAction {
        let recording = known(state, told);
        step(
            status,
            VaultRecord {
                recording: Some(&recording),
                ..VaultRecord::default()
            },
            terms(DeleteSource::AfterShredding),
        )
    }

    #[test]
    fn what_is_not_known_is_made_known_when_it_is_over() {
        let unknown = |status: &str| {
            step(
                status,
                VaultRecord::default(),
                terms(DeleteSource::AfterShredding),
            )
        };
        assert_eq!(
            ["completed", "absent", "deleted"].map(unknown),
            [
                ReconcileAction::Announce,
                ReconcileAction::Announce,
                ReconcileAction::Ghost
            ]
        );
        assert_eq!(
            ["in-progress", "paused", "stopped", "processing", "new-word"].map(unknown),
            [ReconcileAction::Nothing; 5]
        );
    }

    #[test]
    fn what_is_known_only_goes_forwards() {
        for (status, state, told, expected) in [
            (
                "completed",
                RecordingState::Announced,
                "in-progress",
                ReconcileAction::Advance,
            ),
            (
                "absent",
                RecordingState::Announced,
                "in-progress",
                ReconcileAction::Advance,
            ),
            (
                "completed",
                RecordingState::Absent,
                "absent",
                ReconcileAction::Advance,
            ),
            (
                "completed",
                RecordingState::Failed,
                "failed",
                ReconcileAction::Advance,
            ),
            (
                "in-progress",
                RecordingState::Announced,
                "in-progress",
                ReconcileAction::Nothing,
            ),
            (
                "absent",
                RecordingState::Announced,
                "completed",
                ReconcileAction::Nothing,
            ),
            (
                "absent",
                RecordingState::Absent,
                "absent",
                ReconcileAction::Nothing,
            ),
            (
                "completed",
                RecordingState::Failed,
                "completed",
                ReconcileAction::Nothing,
            ),
            (
                "in-progress",
                RecordingState::Announced,
                "completed",
                ReconcileAction::Nothing,
            ),
            (
                "deleted",
                RecordingState::Announced,
                "completed",
                ReconcileAction::Ghost,
            ),
            (
                "deleted",
                RecordingState::Announced,
                "in-progress",
                ReconcileAction::Ghost,
            ),
            (
                "deleted",
                RecordingState::Sealed,
                "completed",
                ReconcileAction::Nothing,
            ),
            (
                "deleted",
                RecordingState::Shredded,
                "completed",
                ReconcileAction::Nothing,
            ),
            (
                "deleted",
                RecordingState::Absent,
                "absent",
                ReconcileAction::Nothing,
            ),
            (
                "in-progress",
                RecordingState::Sealed,
                "completed",
                ReconcileAction::Nothing,
            ),
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
        let recording = known(RecordingState::Announced, "completed");
        let with = |fetch: Option<WorkStatus>, by_hand: bool| {
            let known = VaultRecord {
                recording: Some(&recording),
                fetch,
                erase: None,
            };
            step(
                "completed",
                known,
                ReconcileTerms {
                    by_hand,
                    ..terms(DeleteSource::Never)
                },
            )
        };
        let dead = |hours: u64| {
            Some(WorkStatus {
                dead: true,
                due_at: NOW.before(Duration::from_secs(hours * 3600)),
            })
        };
        assert_eq!(with(None, false), ReconcileAction::Fetch);
        assert_eq!(
            with(
                Some(WorkStatus {
                    dead: false,
                    due_at: NOW
                }),
                true
            ),
            ReconcileAction::Nothing,
            "it waits, or runs"
        );
        assert_eq!(
            [
                with(dead(5), false),
                with(dead(6), false),
                with(dead(0), true)
            ],
            [
                ReconcileAction::Nothing,
                ReconcileAction::Fetch,
                ReconcileAction::Fetch
            ]
        );
    }

    #[test]
    fn copies_at_the_source_go_when_the_account_says_so() {
        let sealed = known(RecordingState::Sealed, "completed");
        let shredded = known(RecordingState::Shredded, "completed");
        let with = |recording, status: &str, source, erase| {
            step(
                status,
                VaultRecord {
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
            [
                ReconcileAction::Nothing,
                ReconcileAction::Nothing,
                ReconcileAction::Erase
            ]
        );
        assert_eq!(
            [never, shredding, sealing].map(|source| with(&shredded, "completed", source, None)),
            [
                ReconcileAction::Nothing,
                ReconcileAction::Erase,
                ReconcileAction::Erase
            ]
        );
        assert_eq!(
            with(&shredded, "in-progress", shredding, None),
            ReconcileAction::Erase,
            "the work stops it first"
        );
        let waits = Some(WorkStatus {
            dead: false,
            due_at: NOW,
        });
        assert_eq!(
            [
                with(&sealed, "completed", sealing, waits),
                with(&shredded, "completed", sealing, waits)
            ],
            [ReconcileAction::Nothing; 2]
        );
        let lately = Recording {
            sealed_at: Some(NOW.before(Duration::from_secs(3599))),
            ..known(RecordingState::Sealed, "completed")
        };
        assert_eq!(
            with(&lately, "completed", sealing, None),
            ReconcileAction::Nothing,
            "the deletion waits for its transcript"
        );
    }
}
