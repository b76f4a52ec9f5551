//! The order in which an account's lists are read.
//!
//! Owns it: calls and video, what is missing in their lists, sessions before messages, then chats.
//! Refuses to decide what a listed item needs (`step`).

use std::{collections::HashSet, time::Duration};

use super::{
    ASKED_SINGLY, ReconcileFailure, Reconciliation, SLACK,
    compare::Comparison,
    list::{ListWindow, Lister, Patience},
};
use crate::{
    db::discovery,
    flow::error::Error,
    model::{media::MediaKind, recording::Recording, time::Timestamp},
    twilio::{RestError, rest::RecordingResource},
};

/// A recording without a start time began at most this long before its discovery: the longest call,
/// and the slack.
const LONGEST: Duration = Duration::from_secs(25 * 3600);
/// What a room makes; each kind has a list.
const VIDEO: [MediaKind; 2] = [MediaKind::VideoTrack, MediaKind::VideoComposition];
/// The most waiting recordings that are looked for in the list.
const WAITING: i64 = 10_000;

impl Reconciliation {
    /// Reads Twilio's list, and then looks for recordings that are missing in it.
    pub(super) async fn walk(
        &self,
        comparison: &mut Comparison<'_>,
        since: Timestamp,
    ) -> Result<(), ReconcileFailure> {
        let account = comparison.account;
        let now = self.clock.now();
        let mut reader = self.db.read().await.map_err(Error::from)?;
        let waiting = discovery::waiting(
            &mut reader,
            account.sid(),
            since.after(SLACK),
            now.before(SLACK),
            LONGEST,
            WAITING,
        )
        .await;
        drop(reader);
        let mut waiting: Vec<Recording> = waiting.map_err(Error::from)?;
        let mut list: Lister<'_, RecordingResource> = Lister::of(
            &self.twilio.client,
            account,
            ListWindow {
                since,
                until: None,
                with_deleted: true,
            },
        );
        while let Some(page) = list.next().await? {
            let listed: HashSet<&str> = page.iter().map(|listed| listed.sid.as_str()).collect();
            waiting.retain(|recording| !listed.contains(recording.source_ref.sid()));
            comparison.page(&page).await?;
        }
        let window = ListWindow {
            since,
            until: None,
            with_deleted: false,
        };
        for kind in VIDEO {
            if self.lists(kind) {
                self.walk_videos(comparison, kind, window, &mut waiting)
                    .await?;
            }
        }
        for (number, recording) in waiting.iter().enumerate() {
            if number < ASKED_SINGLY {
                self.ask_singly(comparison, recording).await?;
            } else {
                comparison.found.ghost(recording.id);
            }
        }
        let has_sessions = self.walk_sessions(comparison, since).await?;
        if self.lists(MediaKind::Message) {
            self.walk_messages(comparison, window, has_sessions).await?;
        }
        self.walk_chats(comparison, since).await
    }

    /// Whether Twilio has a list by days of this kind, and the policy in force keeps what is in it.
    pub(super) fn lists(&self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::CallAudio => true,
            MediaKind::Message => self.messages.keeps(),
            MediaKind::VideoTrack | MediaKind::VideoComposition => self.videos.keeps(kind),
            // Twilio lists chats by their beginning, and the messages of one whole.
            MediaKind::ChatMessage => false,
        }
    }

    /// Queries Twilio for a recording that its list does not contain.
    async fn ask_singly(
        &self,
        comparison: &mut Comparison<'_>,
        recording: &Recording,
    ) -> Result<(), ReconcileFailure> {
        let Ok(sid) = recording.source_ref.recording_sid() else {
            return self.ask_for_video(comparison, recording).await;
        };
        let mut patience = Patience::default();
        loop {
            match self
                .twilio
                .client
                .recording(comparison.account, &sid, true)
                .await
            {
                Ok(resource) => return comparison.page(std::slice::from_ref(&resource)).await,
                Err(RestError::NotFound) => {
                    comparison.found.ghost(recording.id);
                    return Ok(());
                }
                Err(error) => patience.after(error).await?,
            }
        }
    }
}
