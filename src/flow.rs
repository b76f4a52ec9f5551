//! Use cases. Every write begins here.
//!
//! Owns the order of steps: read the facts, decide, act. Refuses to know HTTP, SQL and key
//! material; it calls `policy`, `vault` and `db`.
//!
//! Each use case is one type that holds its dependencies and nothing else. The types have an order:
//! a later one may hold an earlier one, never the reverse. [`Flow`] holds all of them; `assembly`
//! constructs it.

mod access;
mod accounts;
mod asking;
mod assembly;
mod catalogue;
mod clock;
mod consent;
mod erase;
mod erasure;
mod error;
mod export;
mod facts;
mod guard;
mod idempotency;
mod ingest;
mod links;
mod liveness;
mod page;
mod patience;
mod playback;
mod policies;
mod queue;
mod reclassification;
mod reconcile;
mod refusal;
mod request_tasks;
mod retry;
mod status;
mod streams;
mod transcription;
mod twilio_access;
mod units;
mod upkeep;
mod wakeups;
mod work;

use std::{sync::Arc, time::Duration};

pub use access::{
    Access, ListedPrincipal, ListedToken, Minted, NewToken, RevokedTokens, list as list_tokens,
    list_principals, mint as mint_token, revoke as revoke_token, revoke_all as revoke_tokens_of,
};
pub use accounts::{AccountFinding, AccountReview, AccountStatus, AccountVerdict, Reloaded};
pub use asking::Asking;
pub use catalogue::{
    Catalogue, RecordingDetails, SourceStanding, conversations::ConversationDetails,
};
pub use clock::{ClockStatus, TrustedClock};
pub use consent::{
    About, CONSENT_STEP_LIMIT, CallEnd, ConsentRegister, FieldFault, ImportFormat, Imported,
    Instruction, MAX_FILE, MAX_STATEMENTS, NewStatement, NextStep, Recorded, StatementFaults,
    call::CallConsent,
    correction::{Correction, Corrections},
    message::MessageConsent,
    parties::PartyRegister,
};
pub use erasure::{
    hold::{HoldPlace, LegalHolds, Lifted, ListedHold, NewHold},
    quarantine::{Quarantine, QuarantineSwept, Settled},
    retention::{
        Conflict, KeptGroup, RetentionEnforcement, RetentionReport, RetentionSweep, SweptGroup,
    },
    revocation::{ContinuedRevocations, RevocationPreview, RevocationStatus, Revocations},
    shredding::{Shredding, units::SayCount},
};
pub use error::Error;
pub use export::Exports;
#[cfg(test)]
pub(crate) use guard::Staged;
pub use guard::{Guarded, StreamGuard};
pub use idempotency::{Attempt, ClaimedRequest, Idempotency};
pub use ingest::{
    Ingest,
    messages::{
        MessageIntake,
        chats::{ChatIntake, ChatNews},
        commit::{ArrivingMessage, MessageCommitter, MessageSender},
        events::EventIntake,
    },
    videos::VideoIntake,
};
pub use liveness::{Liveness, Task};
pub use page::Page;
pub use patience::WorkSettings;
pub use playback::{
    IssuedGrant, Playback, PlaybackSession,
    listing::GrantLister,
    reading::Form,
    thread::{IssuedThreadGrant, ThreadContent, ThreadItem, ThreadPage, ThreadSession},
    watch::Watch,
};
pub use policies::{
    Policies, Published, Publishing, Version,
    approval::{Approvals, PendingApproval, list as list_approvals},
    fits_published, in_force, oddities, publish, put_in_force, rulebook,
    why::{Why, WhyReason},
};
pub use reclassification::Reclassification;
pub use reconcile::{
    AccountReconciled, Reconciliation, Reconciling,
    backfill::{AccountBackfilled, BackfillPlan, Backfilling, Backfills},
    compare::WouldReconcile,
};
pub use request_tasks::{Panicked, RequestTasks};
pub use status::{
    Monitoring, Status,
    dead_work::{DeadWork, NotDeletableYet, SourceStatus},
    health::Health,
};
pub use streams::{Ended, Streams};
pub use transcription::{
    filing::{FiledTranscript, FoundContent, TranscriptFiling},
    told::TranscriptNews,
};
pub use twilio_access::TwilioAccess;
pub use upkeep::{
    custody::change_passphrase,
    drill::{CompletedDrill, DrillOptions, Drills},
    epoch::{EpochSettings, EpochStatus, EpochTurning, Rotated, SigningKeyRotated},
    garbage::{GarbageCollection, Swept},
    recovery::{JournalStatus, RecoverySettings, RecoveryUpkeep},
    sweep::Sweeper,
};
pub use work::Worker;

use crate::{
    db::{Db, accept::Acceptor},
    model::time::Clock,
    policy::Rulebook,
    store::Store,
    twilio::{Accounts, TwilioClient},
    vault::Vault,
};

/// The parts from which the use cases are constructed.
pub struct Parts {
    /// The vault, for every use of a key.
    pub vault: Vault,
    /// The database.
    pub db: Db,
    /// The store of ciphertext.
    pub store: Store,
    /// The rules in force.
    pub rulebook: Rulebook,
    /// The configured Twilio accounts.
    pub accounts: Accounts,
    /// The client for Twilio's REST interface and media.
    pub client: TwilioClient,
    /// The group commit of announcements.
    pub acceptor: Acceptor,
    /// The group commit of messages.
    pub messages: MessageSender,
    /// The clock.
    pub clock: Clock,
    /// The pace and the retries of work.
    pub settings: WorkSettings,
    /// The schedule of epoch turns.
    pub epochs: EpochSettings,
    /// The time between two snapshots.
    pub snapshot_every: Duration,
}

/// All use cases of a vault. Clones share them.
#[derive(Clone)]
pub struct Flow {
    /// The vault, for every use of a key.
    pub vault: Vault,
    /// The rules in force.
    pub rulebook: Arc<Rulebook>,
    /// The configured Twilio accounts and the client for them.
    pub twilio: Arc<TwilioAccess>,
    /// The clock, with the check whether it is trusted.
    pub clock: Arc<TrustedClock>,
    /// The heartbeats of this process's tasks.
    pub liveness: Liveness,
    /// Runs requests to their end, even if the client disconnects.
    pub running: RequestTasks,
    /// Requests that take effect once, however often they are sent.
    pub idempotency: Arc<Idempotency>,
    /// Authentication and permits.
    pub access: Arc<Access>,
    /// Review and reload of the configured Twilio accounts.
    pub accounts: Arc<AccountReview>,
    /// Shredding of recordings.
    pub shredding: Arc<Shredding>,
    /// Revocations of consent.
    pub revocations: Arc<Revocations>,
    /// Holds, which stop shredding.
    pub holds: Arc<LegalHolds>,
    /// Recordings that wait for evidence of consent.
    pub quarantine: Arc<Quarantine>,
    /// Shredding by retention.
    pub retention: Arc<RetentionEnforcement>,
    /// Moves of recordings to another tier.
    pub reclassification: Arc<Reclassification>,
    /// Statements of consent.
    pub consents: Arc<ConsentRegister>,
    /// Parties of conversations.
    pub parties: Arc<PartyRegister>,
    /// Consent requested in a call.
    pub calls: Arc<CallConsent>,
    /// Consent stated in a message.
    pub messages: Arc<MessageConsent>,
    /// Corrections of catalogue data.
    pub corrections: Arc<Corrections>,
    /// Recording callbacks of the source.
    pub ingest: Arc<Ingest>,
    /// Messages that the source delivers.
    pub message_intake: Arc<MessageIntake>,
    /// Events of chats that the source delivers.
    pub chat_intake: Arc<ChatIntake>,
    /// Callbacks of video rooms.
    pub video_intake: Arc<VideoIntake>,
    /// Batches of Event Streams.
    pub events: Arc<EventIntake>,
    /// Filing of transcripts.
    pub transcripts: Arc<TranscriptFiling>,
    /// Transcript callbacks of the source.
    pub transcript_news: Arc<TranscriptNews>,
    /// The loop that processes due work.
    pub worker: Arc<Worker>,
    /// Comparison of the source's lists with the vault.
    pub reconciliation: Arc<Reconciliation>,
    /// Imports of existing accounts.
    pub backfills: Arc<Backfills>,
    /// Turns of the epoch.
    pub epochs: Arc<EpochTurning>,
    /// Snapshots and journal.
    pub recovery: Arc<RecoveryUpkeep>,
    /// Rehearsed attacks and restores.
    pub drills: Arc<Drills>,
    /// Ciphertext that no recording owns.
    pub garbage: Arc<GarbageCollection>,
    /// The hourly sweep.
    pub sweeper: Arc<Sweeper>,
    /// Versions of the policy.
    pub policies: Arc<Policies>,
    /// Approvals by a second person.
    pub approvals: Arc<Approvals>,
    /// Grants and the streams under them.
    pub playback: Arc<Playback>,
    /// Archives of all data about one person.
    pub exports: Arc<Exports>,
    /// Lists and details of recordings, and the audit log.
    pub catalogue: Arc<Catalogue>,
    /// The check whether the vault can work now.
    pub health: Arc<Health>,
    /// Dead work and the deletions that wait for a retry.
    pub dead_work: Arc<DeadWork>,
    /// Status and metrics.
    pub monitoring: Arc<Monitoring>,
}
