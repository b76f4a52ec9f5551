//! Everything about one person, in one archive (Articles 15 and 20 GDPR): what was recorded, what
//! they consented to, who listened and why.
//!
//! Owns which recordings are in it and what is said of those that are not. Each is decided like any
//! request to listen, and again when its turn comes; the archive itself is put together by
//! `archive`. Refuses to tell anything, even that somebody is not known, to who may not state the
//! purpose.

mod archive;
mod listening;
mod tar;

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;

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
    policy::{self, Decision, Denial, Reason, Rulebook, action, decide},
    vault::Vault,
};

/// Recordings looked up, and refusals written down, at a time.
const PAGE: usize = 200;

/// What an archive is to be made of, and in whose name.
struct Plan {
    subject: SubjectId,
    principal: Principal,
    purpose: Purpose,
    justification: Option<String>,
    ticket: Option<Ticket>,
    network: Option<IpAddr>,
    made_at: Timestamp,
    /// In the order of their ids.
    included: Vec<Included>,
    left_out: Vec<LeftOut>,
    /// Why statements of consent are not in it; empty if they are.
    no_consents: Vec<Why>,
    /// Why the log is not in it; empty if it is.
    no_listening: Vec<Why>,
}

/// A recording that is in it.
#[derive(Serialize)]
struct Included {
    id: RecordingId,
    kind: MediaKind,
}

impl Included {
    fn of(recording: &Recording) -> Self {
        Self {
            id: recording.id,
            kind: recording.kind(),
        }
    }
}

/// A recording that is not in it.
#[derive(Serialize)]
struct LeftOut {
    recording_id: RecordingId,
    kind: MediaKind,
    reasons: Vec<Why>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shredded_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_id: Option<ReceiptId>,
}

/// One reason, for programs and for people.
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

    /// Every recording that may be spoken of.
    fn recordings(&self) -> Vec<RecordingId> {
        self.included
            .iter()
            .map(|included| included.id)
            .chain(self.left_out.iter().map(|left_out| left_out.recording_id))
            .collect()
    }
}

/// Archives of everything about one person.
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

    /// Everything about the person with this address, as a stream of a tar archive (POSIX ustar)
    /// that is put together while it is read. It breaks off where what was allowed when it began is
    /// no more, as when a recording in it is shredded.
    ///
    /// # Errors
    /// [`Error::Denied`] or [`Error::NotFound`] for who may not state the purpose at all.
    /// Recordings that may not be opened are no error: the manifest names them, as far as their
    /// existence may be known.
    pub async fn person(
        &self,
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
        // What is said of a person holds in every account.
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
            no_consents,
            no_listening: listening
                .err()
                .map_or_else(Vec::new, |denial| Why::all(&denial)),
        };
        let mut after = None;
        loop {
            let mut tx = self.db.read().await?;
            let page = exports::recordings(&mut tx, plan.subject, after, PAGE as i64).await?;
            drop(tx);
            after = page.last().copied();
            self.decide_page(&mut plan, &page).await?;
            if page.len() < PAGE {
                break;
            }
        }
        let entry = || {
            let included = plan.included.len();
            let left_out = plan.left_out.len();
            NewEntry::subject_exported(
                now,
                plan.principal.initiator(),
                plan.subject,
                &plan.purpose,
                included,
                left_out,
            )
        };
        note(&self.db, entry).await?;
        Ok(archive::stream(self.clone(), plan))
    }

    /// Decides about some of the recordings, and writes refusals down. What is allowed is written
    /// down when its turn comes, because only then it is opened.
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
            // Those before it in the archive will have been opened by then.
            let before = u32::try_from(plan.included.len()).unwrap_or(u32::MAX);
            circumstances.openings_today = circumstances.openings_today.saturating_add(before);
            let asking = plan.asking();
            let facts = circumstances.asked(&plan.principal, &recording, &asking);
            let denial = match decide(&facts, &self.rulebook, now) {
                Decision::Allow(_) => None,
                Decision::Deny(denial) => {
                    refused.push(
                        NewEntry::decision_denied(now, &facts, None, &denial).with_request(&facts),
                    );
                    Some(denial)
                }
            };
            if denial.as_ref().is_some_and(Denial::is_hidden) {
                continue;
            }
            match denial {
                None => plan.included.push(Included::of(&recording)),
                Some(denial) => {
                    let tombstone = match recording.state {
                        RecordingState::Shredded => shred_of(&mut tx, recording.id).await?,
                        _ => None,
                    };
                    let (shredded_at, receipt_id) = tombstone.unzip();
                    plan.left_out.push(LeftOut {
                        recording_id: recording.id,
                        kind: recording.kind(),
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

/// How a story's error ends a stream.
fn ended(error: Error) -> Ended {
    match error {
        Error::Shredded { .. } | Error::NotFound => Ended::Shredded,
        Error::Denied(_) => Ended::Refused,
        other => {
            tracing::error!(error = %other, "an archive broke off");
            Ended::Broken
        }
    }
}
