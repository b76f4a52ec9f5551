//! Stories a person could tell. Every write begins here.
//!
//! Owns the order of steps: what is looked up, what is decided, what is done. Refuses to know HTTP,
//! SQL and key material; it asks `policy`, `vault` and `database`.
//!
//! One type for each use case, which holds what it needs and nothing else. They stand in an order:
//! a later one may hold an earlier one, and none reaches back. [`Flow`] is all of them beside each
//! other, put together in one place.

mod access;
mod accounts;
mod asking;
mod assembly;
mod bells;
mod catalogue;
mod clock;
mod consent;
mod erase;
mod erasure;
mod error;
mod export;
mod facts;
mod guard;
mod ingest;
mod liveness;
mod page;
mod patience;
mod playback;
mod policies;
mod queue;
mod reclassification;
mod reconcile;
mod refusal;
mod retry;
mod shield;
mod status;
mod streams;
mod transcription;
mod twilio_access;
mod units;
mod upkeep;
mod work;

use std::{sync::Arc, time::Duration};

pub use access::{
    Access, ListedPrincipal, ListedToken, Minted, NewToken, RevokedTokens, list as list_tokens,
    list_principals, mint as mint_token, revoke as revoke_token, revoke_all as revoke_tokens_of,
};
pub use accounts::{AccountFinding, AccountReview, AccountStatus, AccountVerdict, Reloaded};
pub use asking::Asking;
pub use catalogue::{Catalogue, RecordingDetails, SourceStanding};
pub use clock::{ClockStatus, TrustedClock};
pub use consent::{
    About, ConsentRegister, FieldFault, ImportFormat, Imported, Instruction, MAX_FILE,
    MAX_STATEMENTS, NewStatement, Over, Recorded, StatementFaults, Then,
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
    revocation::{Continued, RevocationStatus, Revocations, Would},
    shredding::{Shredding, units::SayCount},
};
pub use error::Error;
pub use export::Exports;
#[cfg(test)]
pub(crate) use guard::Staged;
pub use guard::{Guarded, StreamGuard};
pub use ingest::Ingest;
pub use liveness::{Liveness, Task};
pub use page::Page;
pub use patience::WorkSettings;
pub use playback::{IssuedGrant, Playback, PlaybackSession, reading::Form, watch::Watch};
pub use policies::{
    Policies, Published, Publishing, Version,
    approval::{Approvals, PendingApproval, list as list_approvals},
    in_force, oddities, publish, put_in_force, rulebook,
    why::{Why, WhyReason},
};
pub use reclassification::Reclassification;
pub use reconcile::{
    AccountReconciled, Reconciliation, Reconciling,
    backfill::{AccountBackfilled, BackfillPlan, Backfilling, Backfills},
};
pub use shield::{Panicked, Shield};
pub use status::{
    Monitoring, Status,
    dead_work::{DeadWork, SourceStatus},
    health::Health,
};
pub use streams::{Ended, Streams};
pub use transcription::{filing::TranscriptFiling, told::TranscriptNews};
pub use twilio_access::TwilioAccess;
pub use upkeep::{
    custody::change_passphrase,
    drill::{CompletedDrill, DrillOptions, Drills},
    epoch::{EpochSettings, EpochStatus, EpochTurning, Rotated},
    litter::{Litter, Swept},
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

/// What the stories are put together from.
pub struct Parts {
    /// Where keys are used.
    pub vault: Vault,
    /// What is known.
    pub db: Db,
    /// Where ciphertext is.
    pub store: Store,
    /// What is allowed.
    pub rulebook: Rulebook,
    /// Whose callbacks are believed.
    pub accounts: Accounts,
    /// How media is fetched.
    pub client: TwilioClient,
    /// The way in for announcements.
    pub acceptor: Acceptor,
    /// What time it is.
    pub clock: Clock,
    /// How work is paced.
    pub settings: WorkSettings,
    /// When the epoch turns.
    pub epochs: EpochSettings,
    /// Time between two snapshots.
    pub snapshot_every: Duration,
}

/// All use cases of a vault beside each other. Clones share them.
#[derive(Clone)]
pub struct Flow {
    /// What they stand on: where keys are used.
    pub vault: Vault,
    /// What they stand on: the rules in force.
    pub rulebook: Arc<Rulebook>,
    /// What they stand on: how Twilio is reached, and whose callbacks are believed.
    pub twilio: Arc<TwilioAccess>,
    /// Whether the clock is believed.
    pub clock: Arc<TrustedClock>,
    /// Which tasks of this process live.
    pub liveness: Liveness,
    /// What runs to its end, whoever waits for it.
    pub running: Shield,
    /// Who somebody is, and what they may do.
    pub access: Arc<Access>,
    /// Accounts that change, and how they are set up.
    pub accounts: Arc<AccountReview>,
    /// Recordings that must be shredded.
    pub shredding: Arc<Shredding>,
    /// Revocations of consent.
    pub revocations: Arc<Revocations>,
    /// What must stay.
    pub holds: Arc<LegalHolds>,
    /// What waits for a consent.
    pub quarantine: Arc<Quarantine>,
    /// What is kept no longer.
    pub retention: Arc<RetentionEnforcement>,
    /// What goes to another tier.
    pub reclassification: Arc<Reclassification>,
    /// What people said.
    pub consents: Arc<ConsentRegister>,
    /// Who took part.
    pub parties: Arc<PartyRegister>,
    /// Consent that is asked for in a call.
    pub calls: Arc<CallConsent>,
    /// Consent that is told in a message.
    pub messages: Arc<MessageConsent>,
    /// What is put right.
    pub corrections: Arc<Corrections>,
    /// What the source tells of recordings.
    pub ingest: Arc<Ingest>,
    /// Transcripts that are handed in.
    pub transcripts: Arc<TranscriptFiling>,
    /// What the source tells of transcripts.
    pub transcript_news: Arc<TranscriptNews>,
    /// Work that is due.
    pub worker: Arc<Worker>,
    /// The source's lists against the vault.
    pub reconciliation: Arc<Reconciliation>,
    /// Whole accounts, from before the vault came.
    pub backfills: Arc<Backfills>,
    /// Turns of the epoch.
    pub epochs: Arc<EpochTurning>,
    /// Snapshots and journal.
    pub recovery: Arc<RecoveryUpkeep>,
    /// Drills.
    pub drills: Arc<Drills>,
    /// What nobody owns.
    pub litter: Arc<Litter>,
    /// The hourly sweep.
    pub sweeper: Arc<Sweeper>,
    /// Versions of the policy.
    pub policies: Arc<Policies>,
    /// Two persons: one asks, another agrees.
    pub approvals: Arc<Approvals>,
    /// Grants, and what is heard under them.
    pub playback: Arc<Playback>,
    /// Archives of everything about one person.
    pub exports: Arc<Exports>,
    /// What is known of recordings.
    pub catalogue: Arc<Catalogue>,
    /// Whether the vault can work now.
    pub health: Arc<Health>,
    /// Work that does not get done.
    pub dead_work: Arc<DeadWork>,
    /// How the vault stands.
    pub monitoring: Arc<Monitoring>,
}
