//! Export of everything about one person in one archive (Articles 15 and 20 GDPR): recordings,
//! statements of consent, and the log of access.
//!
//! Owns the selection of recordings and the report of those that are left out. Each recording is
//! decided like any request to listen, and again when its turn comes; `archive` builds the archive.
//! Refuses to reveal anything, even that a person is unknown, to callers who may not state the
//! purpose.

mod archive;
mod listening;
mod tar;
mod threads;

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;

use self::threads::Written;
use super::{
    asking::{Asking, Circumstances},
    error::Error,
    guard::Guarded,
    playback::Playback,
    refusal::{refuse_request, shred_of},
    streams::{Ended, Streams},
    units::note,
};
use crate::{
    db::{self, Db, exports, recordings},
    evidence::NewEntry,
    model::{
        access::{Principal, Ticket},
        id::{ReceiptId, RecordingId, SubjectId},
        media::MediaKind,
        name::Purpose,
        recording::{Recording, RecordingState},
        subject::Address,
        time::{Clock, Timestamp},
    },
    policy::{self, Decision, Denial, Permit, Reason, Rulebook, action, decide},
    vault::Vault,
};

/// Recordings looked up, and refusals recorded, at a time.
const PAGE: usize = 200;

/// The content and the requester of an archive.
struct Plan {
    subject: SubjectId,
    principal: Principal,
    purpose: Purpose,
    justification: Option<String>,
    ticket: Option<Ticket>,
    network: Option<IpAddr>,
    made_at: Timestamp,
    /// In the order of their ids; then the messages, thread by thread, as they were written.
    included: Vec<Included>,
    left_out: Vec<LeftOut>,
    /// The number of included recordings that are not counted against today's budget yet.
    fresh: u32,
    /// Why statements of consent are left out; empty if they are included.
    no_consents: Vec<Why>,
    /// Why the log is left out; empty if it is included.
    no_listening: Vec<Why>,
}

/// An included recording.
#[derive(Serialize)]
struct Included {
    id: RecordingId,
    kind: MediaKind,
    #[serde(skip)]
    written: Option<Written>,
}

impl Included {
    fn of(recording: &Recording) -> Self {
        Self {
            id: recording.id,
            kind: recording.kind(),
            written: written(recording),
        }
    }
}

/// Returns the place of a message in its conversation; `None` for what was not written.
fn written(recording: &Recording) -> Option<Written> {
    let conversation = recording
        .thread
        .clone()
        .filter(|_| recording.kind().is_written())?;
    Some(Written {
        conversation,
        at: recording.collected_at,
        author: recording.author.clone(),
    })
}

/// A recording that is left out.
#[derive(Serialize)]
struct LeftOut {
    recording_id: RecordingId,
    kind: MediaKind,
    #[serde(skip)]
    written: Option<Written>,
    reasons: Vec<Why>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shredded_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_id: Option<ReceiptId>,
}

/// A reason, as a code and as a text.
#[derive(Serialize)]
struct Why {
    code: &'static str,
    text: String,
}

impl Why {
    fn of(reason: Reason) -> Self {
        Self {
            code: reason.code(),
            text: reason.text().to_owned(),
        }
    }

    fn all(denial: &Denial) -> Vec<Self> {
        denial
            .refusals()
            .iter()
            .map(|refusal| Self {
                code: refusal.reason.code(),
                text: refusal.sentence(),
            })
            .collect()
    }
}

impl Plan {
    fn asking(&self) -> Asking<'_> {
        Asking {
            ticket: self.ticket.clone(),
            network: self.network,
            ..Asking::new(self.purpose.clone(), self.justification.as_deref())
        }
    }

    /// Returns every recording whose existence may be revealed.
    fn recordings(&self) -> Vec<RecordingId> {
        self.included
            .iter()
            .map(|included| included.id)
            .chain(self.left_out.iter().map(|left_out| left_out.recording_id))
            .collect()
    }
}

/// Exports everything about one person.
#[derive(Clone)]
pub struct Exports {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    streams: Streams,
    playback: Arc<Playback>,
}

impl Exports {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        streams: Streams,
        playback: Arc<Playback>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            streams,
            playback,
        }
    }

    /// Streams a tar archive (POSIX ustar) of everything about the person with this address, for
    /// callers who may export. The archive is built while it is read. It ends early if something it
    /// includes is no longer allowed, for instance because a recording was shredded.
    ///
    /// # Errors
    /// [`Error::Denied`] or [`Error::NotFound`] for a caller who may not state the purpose.
    /// Recordings that may not be opened are no error: the manifest names them, if their existence
    /// may be known.
    pub async fn person(
        &self,
        permit: &Permit<action::Export>,
        principal: &Principal,
        address: &Address,
        asking: &Asking<'_>,
    ) -> Result<Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<>>, Error> {
        let now = self.clock.now();
        if let Err(denial) = policy::may_state(
            principal,
            &asking.purpose,
            asking.justification,
            &self.rulebook,
            now,
        ) {
            return Err(
                refuse_request(&self.db, self.clock.now(), principal, "export", denial).await?,
            );
        }
        let rulebook = &self.rulebook;
        let consents = policy::permit(principal, action::Consent, rulebook, now);
        let listening = policy::permit(principal, action::Audit, rulebook, now);
        let mut no_consents = consents
            .err()
            .map_or_else(Vec::new, |denial| Why::all(&denial));
        // A statement about a person applies to every account.
        no_consents.extend(
            (!principal.accounts.is_empty()).then(|| Why::of(Reason::AccountUnknownToPrincipal)),
        );
        let mut plan = Plan {
            subject: self.vault.subject(address),
            principal: principal.clone(),
            purpose: asking.purpose.clone(),
            justification: asking.justification.map(str::to_owned),
            ticket: asking.ticket.clone(),
            network: asking.network,
            made_at: now,
            included: Vec::new(),
            left_out: Vec::new(),
            fresh: 0,
            no_consents,
            no_listening: listening
                .err()
                .map_or_else(Vec::new, |denial| Why::all(&denial)),
        };
        let mut after = None;
        loop {
            let mut tx = self.db.read().await?;
            let accounts = permit.accounts();
            let page =
                exports::recordings(&mut tx, plan.subject, accounts, after, PAGE as i64).await?;
            drop(tx);
            after = page.last().copied();
            self.decide_page(&mut plan, &page).await?;
            if page.len() < PAGE {
                break;
            }
        }
        plan.included
            .sort_by(|one, other| (&one.written, one.id).cmp(&(&other.written, other.id)));
        let entry = || {
            let included = plan.included.len();
            let left_out = plan.left_out.len();
            NewEntry::subject_exported(
                now,
                permit.initiator(),
                plan.subject,
                &plan.purpose,
                included,
                left_out,
            )
        };
        note(&self.db, entry).await?;
        Ok(archive::stream(self.clone(), plan))
    }

    /// Decides about some of the recordings, and records refusals. Permitted openings are recorded
    /// when their turn comes, because only then they are opened.
    async fn decide_page(&self, plan: &mut Plan, ids: &[RecordingId]) -> Result<(), Error> {
        let now = self.clock.now();
        let mut refused = Vec::new();
        let mut tx = self.db.read().await?;
        let mut found: Vec<Recording> = recordings::find_all(&mut tx, ids).await?;
        found.sort_by_key(|recording| recording.id);
        let mut circumstances =
            Circumstances::gather_all(&mut tx, &plan.principal, &found, &plan.purpose, now).await?;
        for recording in found {
            let Some(mut circumstances) = circumstances.remove(&recording.id) else {
                continue;
            };
            // The recordings before it in the archive will have been opened by then.
            let is_fresh = !circumstances.is_counted;
            if is_fresh {
                circumstances.openings_today =
                    circumstances.openings_today.saturating_add(plan.fresh);
            }
            let asking = plan.asking();
            let facts = circumstances.asked(&plan.principal, &recording, &asking);
            let denial = match decide(&facts, &self.rulebook, now) {
                Decision::Allow(_) => None,
                // Its existence may not be known, and so no entry may count it.
                Decision::Deny(denial) if denial.is_hidden() => continue,
                Decision::Deny(denial) => {
                    refused.push(
                        NewEntry::decision_denied(now, &facts, None, &denial).with_request(&facts),
                    );
                    Some(denial)
                }
            };
            match denial {
                None => {
                    plan.fresh = plan.fresh.saturating_add(is_fresh.into());
                    plan.included.push(Included::of(&recording));
                }
                Some(denial) => {
                    let tombstone = match recording.state {
                        RecordingState::Shredded => shred_of(&mut tx, recording.id).await?,
                        _ => None,
                    };
                    let (shredded_at, receipt_id) = tombstone.unzip();
                    plan.left_out.push(LeftOut {
                        recording_id: recording.id,
                        kind: recording.kind(),
                        written: written(&recording),
                        reasons: Why::all(&denial),
                        shredded_at,
                        receipt_id,
                    });
                }
            }
        }
        drop(tx);
        if refused.is_empty() {
            return Ok(());
        }
        let noted = self.db.unit("export.decide_page", async |mut unit| {
            unit.audit_all(refused.iter().cloned());
            Ok::<_, db::Error>(())
        });
        Ok(noted.await?)
    }
}

/// Converts an error of a use case to the end of a stream.
fn ended(error: Error) -> Ended {
    match error {
        Error::Shredded { .. } | Error::NotFound => Ended::Shredded,
        Error::Denied(_) => Ended::Refused,
        other => {
            tracing::error!(error = %other, "an archive was not completed");
            Ended::Broken
        }
    }
}
