//! Stories a person could tell. Every write begins here.
//!
//! Owns the order of steps: what is looked up, what is decided, what is done. Refuses to know HTTP,
//! SQL and key material; it asks `policy`, `vault` and `ledger`.
//!
//! One type for each use case, which holds what it needs and nothing else. They stand in an order:
//! a later one may hold an earlier one, and none reaches back. [`Flow`] is all of them beside each
//! other, put together in one place.

mod access;
mod accounts;
mod asking;
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
mod patience;
mod playback;
mod policies;
mod reclassification;
mod reconcile;
mod refusal;
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
pub use catalogue::{AuditPage, Catalogue, Details, Page, Source};
pub use clock::{ClockStatus, TrustedClock};
pub use consent::{
    About, ConsentRegister, Faults, FieldFault, Format, Imported, Instruction, MAX_FILE,
    MAX_STATEMENTS, NewStatement, Over, Recorded, StatementPage, Then,
    call::CallConsent,
    correction::{Correction, Corrections},
    message::MessageConsent,
    parties::PartyRegister,
};
pub use erasure::{
    hold::{Holds, LegalHolds, Lifted, NewHold},
    quarantine::{Quarantine, QuarantineSwept, Settled},
    retention::{
        Conflict, KeptGroup, RetentionEnforcement, RetentionReport, RetentionSweep, SweptGroup,
    },
    revocation::{Continued, Outcomes, RevocationStatus, Revocations, Would},
    shredding::Shredding,
};
pub use error::Error;
pub use export::Exports;
#[cfg(test)]
pub(crate) use guard::Staged;
pub use guard::{Guarded, StreamGuard};
pub use ingest::Ingest;
pub use liveness::{Liveness, Task};
pub use patience::Settings;
pub use playback::{Given, Heard, Playback, reading::Form, watch::Watch};
pub use policies::{
    Policies, Published, Publishing, Version,
    approval::{Approvals, Request, Requests, list as list_approvals},
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
pub use transcription::{Transcription, filing::TranscriptFiling, told::TranscriptNews};
pub use twilio_access::TwilioAccess;
pub use upkeep::{
    custody::change_passphrase,
    drill::{DrillOptions, Drills, Held},
    epoch::{EpochSettings, EpochStatus, EpochTurning, Rotated},
    litter::Litter,
    recovery::{JournalStatus, RecoverySettings, RecoveryUpkeep},
    sweep::{Sweeper, Swept},
};
pub use work::Worker;

use self::{
    bells::Bells,
    consent::effects::Effects,
    erase::SourceDeletion,
    ingest::{fetching::Fetching, keep::Admission, parties::PartyLookup},
    transcription::source::TranscriptSource,
    work::Performers,
};
use crate::{
    ledger::{Ledger, accept::Acceptor},
    model::time::Clock,
    policy::Rulebook,
    store::Store,
    twilio::{Accounts, Client},
    vault::Vault,
};

/// What the stories are put together from.
pub struct Parts {
    /// Where keys are used.
    pub vault: Vault,
    /// What is known.
    pub ledger: Ledger,
    /// Where ciphertext is.
    pub store: Store,
    /// What is allowed.
    pub rulebook: Rulebook,
    /// Whose callbacks are believed.
    pub accounts: Accounts,
    /// How media is fetched.
    pub client: Client,
    /// The way in for announcements.
    pub acceptor: Acceptor,
    /// What time it is.
    pub clock: Clock,
    /// How work is paced.
    pub settings: Settings,
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
    /// What must go.
    pub shredding: Arc<Shredding>,
    /// What was taken back.
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
    /// Transcripts that the source made.
    pub transcription: Arc<Transcription>,
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

impl Flow {
    /// Puts them together, each with what it needs.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            vault,
            ledger,
            store,
            rulebook,
            accounts,
            client,
            acceptor,
            clock,
            settings,
            epochs: epoch_settings,
            snapshot_every,
        } = parts;
        let rulebook = Arc::new(rulebook);
        let twilio = Arc::new(TwilioAccess::new(accounts, client));
        let trusted = Arc::new(TrustedClock::new(ledger.clone(), clock.clone()));
        let bells = Bells::default();
        let streams = Streams::default();
        let liveness = Liveness::default();
        let access = Arc::new(Access::new(
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
        ));
        let accounts = Arc::new(AccountReview::new(
            ledger.clone(),
            clock.clone(),
            Arc::clone(&twilio),
        ));
        let shredding = Arc::new(Shredding::new(
            vault.clone(),
            ledger.clone(),
            streams.clone(),
            bells.clone(),
        ));
        let revocations = Arc::new(Revocations::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            liveness.clone(),
            bells.clone(),
            Arc::clone(&shredding),
        ));
        let holds = Arc::new(LegalHolds::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&revocations),
        ));
        let quarantine = Arc::new(Quarantine::new(
            ledger.clone(),
            Arc::clone(&rulebook),
            Arc::clone(&trusted),
            Arc::clone(&shredding),
        ));
        let retention = Arc::new(RetentionEnforcement::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            Arc::clone(&trusted),
            Arc::clone(&shredding),
        ));
        let reclassification = Arc::new(Reclassification::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
        ));
        let effects = Effects::new(
            Arc::clone(&quarantine),
            Arc::clone(&revocations),
            Arc::clone(&reclassification),
        );
        let consents = Arc::new(ConsentRegister::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            bells.clone(),
            effects.clone(),
        ));
        let parties = Arc::new(PartyRegister::new(
            vault.clone(),
            ledger.clone(),
            clock.clone(),
            bells.clone(),
            effects.clone(),
        ));
        let calls = Arc::new(CallConsent::new(
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&twilio),
            Arc::clone(&consents),
            Arc::clone(&parties),
        ));
        let messages = Arc::new(MessageConsent::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&consents),
        ));
        let corrections = Arc::new(Corrections::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            bells.clone(),
            effects.clone(),
        ));
        let lookup = Arc::new(PartyLookup::new(
            ledger.clone(),
            Arc::clone(&rulebook),
            Arc::clone(&twilio),
            Arc::clone(&parties),
            Arc::clone(&reclassification),
        ));
        let admission = Admission::new(
            Arc::clone(&rulebook),
            Arc::clone(&revocations),
            Arc::clone(&shredding),
        );
        let ingest = Arc::new(Ingest::new(
            vault.clone(),
            Arc::clone(&rulebook),
            acceptor.clone(),
            bells.clone(),
            Arc::clone(&lookup),
        ));
        let fetching = Fetching::new(
            vault.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&twilio),
            bells.clone(),
            Arc::clone(&lookup),
            admission,
        );
        let transcripts = Arc::new(TranscriptFiling::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            bells.clone(),
            Arc::clone(&reclassification),
        ));
        let transcript_news = Arc::new(TranscriptNews::new(
            vault.clone(),
            ledger.clone(),
            clock.clone(),
        ));
        let transcript_source = Arc::new(TranscriptSource::new(
            vault.clone(),
            ledger.clone(),
            clock.clone(),
            Arc::clone(&twilio),
            Arc::clone(&ingest),
        ));
        let transcription = Arc::new(Transcription::new(
            ledger.clone(),
            Arc::clone(&trusted),
            settings.clone(),
            liveness.clone(),
            bells.clone(),
            Arc::clone(&transcript_source),
            Arc::clone(&transcripts),
            Arc::clone(&twilio),
        ));
        let deletion = SourceDeletion::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&trusted),
            settings.clone(),
            Arc::clone(&twilio),
            bells.clone(),
        );
        let performers = Performers {
            fetching,
            deletion,
            shredding: Arc::clone(&shredding),
            transcription: Arc::clone(&transcription),
        };
        let worker = Arc::new(Worker::new(
            ledger.clone(),
            clock.clone(),
            settings.clone(),
            liveness.clone(),
            bells.clone(),
            performers,
        ));
        let reconciliation = Arc::new(Reconciliation::new(
            vault.clone(),
            ledger.clone(),
            clock.clone(),
            Arc::clone(&twilio),
            bells.clone(),
            Arc::clone(&ingest),
        ));
        let backfills = Arc::new(Backfills::new(
            ledger.clone(),
            clock.clone(),
            Arc::clone(&twilio),
            Arc::clone(&reconciliation),
        ));
        let epochs = Arc::new(EpochTurning::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            epoch_settings.clone(),
            liveness.clone(),
            bells.clone(),
        ));
        let recovery = Arc::new(RecoveryUpkeep::new(
            vault.clone(),
            ledger.clone(),
            clock.clone(),
            snapshot_every,
            liveness.clone(),
            bells.clone(),
        ));
        let drills = Arc::new(Drills::new(
            vault.clone(),
            ledger.clone(),
            clock.clone(),
            epoch_settings.clone(),
        ));
        let litter = Arc::new(Litter::new(
            vault.clone(),
            ledger.clone(),
            store.clone(),
            Arc::clone(&trusted),
            Arc::clone(&twilio),
            Arc::clone(&worker),
        ));
        let sweeper = Arc::new(Sweeper::new(
            settings.clone(),
            Arc::clone(&litter),
            Arc::clone(&quarantine),
            Arc::clone(&retention),
        ));
        let policies = Arc::new(Policies::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
        ));
        let approvals = Arc::new(Approvals::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
        ));
        let playback = Arc::new(Playback::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            streams.clone(),
            liveness.clone(),
            bells.clone(),
        ));
        let exports = Arc::new(Exports::new(
            vault.clone(),
            ledger.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            streams.clone(),
            Arc::clone(&playback),
        ));
        let catalogue = Arc::new(Catalogue::new(ledger.clone()));
        let health = Arc::new(Health::new(vault.clone(), ledger.clone(), store.clone()));
        let dead_work = Arc::new(DeadWork::new(
            ledger.clone(),
            clock.clone(),
            settings.clone(),
            bells.clone(),
        ));
        let monitoring = Arc::new(Monitoring::new(
            ledger.clone(),
            Arc::clone(&trusted),
            streams.clone(),
            Arc::clone(&health),
            Arc::clone(&dead_work),
            Arc::clone(&epochs),
            Arc::clone(&recovery),
            Arc::clone(&accounts),
        ));
        Self {
            vault,
            rulebook,
            twilio,
            clock: trusted,
            liveness,
            running: Shield::default(),
            access,
            accounts,
            shredding,
            revocations,
            holds,
            quarantine,
            retention,
            reclassification,
            consents,
            parties,
            calls,
            messages,
            corrections,
            ingest,
            transcripts,
            transcript_news,
            transcription,
            worker,
            reconciliation,
            backfills,
            epochs,
            recovery,
            drills,
            litter,
            sweeper,
            policies,
            approvals,
            playback,
            exports,
            catalogue,
            health,
            dead_work,
            monitoring,
        }
    }
}
