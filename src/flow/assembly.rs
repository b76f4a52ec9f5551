//! The construction of the use cases.
//!
//! Owns their dependencies: each use case gets those that it needs and nothing else, in an order
//! without cycles. Refuses to do anything else.

use std::sync::Arc;

use super::{
    Flow, Parts,
    access::Access,
    accounts::AccountReview,
    catalogue::Catalogue,
    clock::TrustedClock,
    consent::{
        ConsentRegister, call::CallConsent, correction::Corrections, effects::Effects,
        message::MessageConsent, parties::PartyRegister,
    },
    erase::SourceDeletion,
    erasure::{
        hold::LegalHolds, quarantine::Quarantine, retention::RetentionEnforcement,
        revocation::Revocations, shredding::Shredding,
    },
    export::Exports,
    idempotency::Idempotency,
    ingest::{
        Ingest,
        fetching::Fetching,
        keep::Admission,
        messages::{
            MessageIntake,
            chats::{ChatIntake, read::ChatReading, states::MessageStates},
            events::EventIntake,
            fetch::MessageFetching,
            files::FileFetching,
            notice::Notices,
        },
        parties::PartyLookup,
        sessions::SessionReading,
        videos::VideoIntake,
    },
    liveness::Liveness,
    playback::Playback,
    policies::{Policies, approval::Approvals},
    queue::WorkQueue,
    reclassification::Reclassification,
    reconcile::{Reconciliation, backfill::Backfills},
    request_tasks::RequestTasks,
    status::{Monitoring, dead_work::DeadWork, health::Health},
    streams::Streams,
    transcription::{
        Transcription, filing::TranscriptFiling, source::TranscriptSource, told::TranscriptNews,
    },
    twilio_access::TwilioAccess,
    upkeep::{
        drill::Drills, epoch::EpochTurning, garbage::GarbageCollection, recovery::RecoveryUpkeep,
        sweep::Sweeper,
    },
    wakeups::Wakeups,
    work::{Performers, Worker},
};

impl Flow {
    /// Constructs every use case with its dependencies.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            vault,
            db,
            store,
            rulebook,
            accounts,
            client,
            acceptor,
            messages: message_queue,
            clock,
            settings,
            epochs: epoch_settings,
            snapshot_every,
        } = parts;
        let rulebook = Arc::new(rulebook);
        let twilio = Arc::new(TwilioAccess::new(accounts, client));
        let trusted = Arc::new(TrustedClock::new(db.clone(), clock.clone()));
        let wakeups = Wakeups::default();
        let streams = Streams::default();
        let liveness = Liveness::default();
        let access = Arc::new(Access::new(
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
        ));
        let accounts = Arc::new(AccountReview::new(
            db.clone(),
            clock.clone(),
            Arc::clone(&twilio),
        ));
        let idempotency = Arc::new(Idempotency::new(vault.clone(), db.clone()));
        let shredding = Arc::new(Shredding::new(
            vault.clone(),
            db.clone(),
            streams.clone(),
            wakeups.clone(),
        ));
        let queue = Arc::new(WorkQueue::new(
            db.clone(),
            Arc::clone(&trusted),
            settings.clone(),
        ));
        let revocations = Arc::new(Revocations::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            liveness.clone(),
            wakeups.clone(),
            Arc::clone(&queue),
            Arc::clone(&shredding),
        ));
        let holds = Arc::new(LegalHolds::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&revocations),
        ));
        let quarantine = Arc::new(Quarantine::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            Arc::clone(&trusted),
            Arc::clone(&shredding),
        ));
        let retention = Arc::new(RetentionEnforcement::new(
            db.clone(),
            Arc::clone(&rulebook),
            Arc::clone(&trusted),
            Arc::clone(&shredding),
        ));
        let reclassification = Arc::new(Reclassification::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
        ));
        let effects = Effects::new(
            Arc::clone(&quarantine),
            Arc::clone(&revocations),
            Arc::clone(&reclassification),
        );
        let consents = Arc::new(ConsentRegister::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            wakeups.clone(),
            effects.clone(),
        ));
        let parties = Arc::new(PartyRegister::new(
            vault.clone(),
            db.clone(),
            clock.clone(),
            wakeups.clone(),
            effects.clone(),
        ));
        let calls = Arc::new(CallConsent::new(
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&twilio),
            Arc::clone(&consents),
            Arc::clone(&parties),
        ));
        let messages = Arc::new(MessageConsent::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&consents),
        ));
        let corrections = Arc::new(Corrections::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            wakeups.clone(),
            effects.clone(),
        ));
        let lookup = Arc::new(PartyLookup::new(
            db.clone(),
            Arc::clone(&rulebook),
            Arc::clone(&twilio),
            Arc::clone(&parties),
            Arc::clone(&reclassification),
        ));
        let admission = Arc::new(Admission::new(
            Arc::clone(&rulebook),
            Arc::clone(&revocations),
            Arc::clone(&shredding),
        ));
        let ingest = Arc::new(Ingest::new(
            vault.clone(),
            Arc::clone(&rulebook),
            acceptor.clone(),
            wakeups.clone(),
            Arc::clone(&lookup),
        ));
        let video_intake = Arc::new(VideoIntake::new(
            vault.clone(),
            Arc::clone(&rulebook),
            wakeups.clone(),
            Arc::clone(&lookup),
            acceptor.clone(),
        ));
        let message_intake = Arc::new(MessageIntake::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            wakeups.clone(),
            Arc::clone(&twilio),
            Arc::clone(&parties),
            Arc::clone(&admission),
            Arc::clone(&reclassification),
            acceptor,
            message_queue,
        ));
        let message_states = MessageStates::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            wakeups.clone(),
            Arc::clone(&admission),
            Arc::clone(&reclassification),
        );
        let chat_intake = Arc::new(ChatIntake::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            wakeups.clone(),
            Arc::clone(&parties),
            Arc::clone(&message_intake),
            message_states,
        ));
        let chats = ChatReading::new(
            db.clone(),
            clock.clone(),
            Arc::clone(&twilio),
            Arc::clone(&chat_intake),
        );
        let events = Arc::new(EventIntake::new(
            Arc::clone(&message_intake),
            Arc::clone(&messages),
            Arc::clone(&chat_intake),
        ));
        let message_fetching = MessageFetching::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&twilio),
            wakeups.clone(),
            Arc::clone(&reclassification),
            Arc::clone(&message_intake),
            Arc::clone(&chat_intake),
        );
        let notices = Notices::new(
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&twilio),
            Arc::clone(&consents),
        );
        let sessions = SessionReading::new(
            db.clone(),
            Arc::clone(&twilio),
            Arc::clone(&parties),
            Arc::clone(&reclassification),
        );
        let files = FileFetching::new(vault.clone(), db.clone(), Arc::clone(&twilio));
        let fetching = Fetching::new(
            vault.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            Arc::clone(&twilio),
            wakeups.clone(),
            Arc::clone(&lookup),
            admission,
            message_fetching,
        );
        let transcripts = Arc::new(TranscriptFiling::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            wakeups.clone(),
            Arc::clone(&reclassification),
        ));
        let transcript_news = Arc::new(TranscriptNews::new(
            vault.clone(),
            db.clone(),
            clock.clone(),
        ));
        let transcript_source = Arc::new(TranscriptSource::new(
            vault.clone(),
            db.clone(),
            clock.clone(),
            Arc::clone(&twilio),
            Arc::clone(&ingest),
            Arc::clone(&queue),
        ));
        let transcription = Transcription::new(
            db.clone(),
            clock.clone(),
            wakeups.clone(),
            Arc::clone(&queue),
            Arc::clone(&transcript_source),
            Arc::clone(&transcripts),
        );
        let deletion = SourceDeletion::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            Arc::clone(&trusted),
            settings.clone(),
            Arc::clone(&twilio),
            wakeups.clone(),
            Arc::clone(&queue),
        );
        let performers = Performers {
            fetching,
            files,
            chats,
            notices,
            sessions,
            deletion,
            shredding: Arc::clone(&shredding),
            transcription,
            transcript_source: Arc::clone(&transcript_source),
            revocations: Arc::clone(&revocations),
        };
        let worker = Arc::new(Worker::new(
            settings.clone(),
            liveness.clone(),
            wakeups.clone(),
            Arc::clone(&queue),
            performers,
        ));
        let reconciliation = Arc::new(Reconciliation::new(
            vault.clone(),
            db.clone(),
            clock.clone(),
            Arc::clone(&twilio),
            wakeups.clone(),
            Arc::clone(&ingest),
            Arc::clone(&message_intake),
            Arc::clone(&chat_intake),
            Arc::clone(&video_intake),
        ));
        let backfills = Arc::new(Backfills::new(
            db.clone(),
            clock.clone(),
            Arc::clone(&twilio),
            Arc::clone(&reconciliation),
        ));
        let epochs = Arc::new(EpochTurning::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            epoch_settings.clone(),
            liveness.clone(),
            wakeups.clone(),
        ));
        let recovery = Arc::new(RecoveryUpkeep::new(
            vault.clone(),
            db.clone(),
            clock.clone(),
            snapshot_every,
            liveness.clone(),
            wakeups.clone(),
        ));
        let drills = Arc::new(Drills::new(
            vault.clone(),
            db.clone(),
            clock.clone(),
            epoch_settings.clone(),
        ));
        let garbage = Arc::new(GarbageCollection::new(
            vault.clone(),
            db.clone(),
            store.clone(),
            Arc::clone(&trusted),
            Arc::clone(&twilio),
            Arc::clone(&queue),
        ));
        let sweeper = Arc::new(Sweeper::new(
            settings.clone(),
            Arc::clone(&garbage),
            Arc::clone(&quarantine),
            Arc::clone(&retention),
            Arc::clone(&shredding),
        ));
        let policies = Arc::new(Policies::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
        ));
        let approvals = Arc::new(Approvals::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            streams.clone(),
        ));
        let playback = Arc::new(Playback::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            streams.clone(),
            liveness.clone(),
            wakeups.clone(),
        ));
        let exports = Arc::new(Exports::new(
            vault.clone(),
            db.clone(),
            Arc::clone(&rulebook),
            clock.clone(),
            streams.clone(),
            Arc::clone(&playback),
        ));
        let catalogue = Arc::new(Catalogue::new(db.clone()));
        let health = Arc::new(Health::new(vault.clone(), db.clone(), store.clone()));
        let dead_work = Arc::new(DeadWork::new(
            db.clone(),
            clock.clone(),
            settings.clone(),
            wakeups.clone(),
        ));
        let monitoring = Arc::new(Monitoring::new(
            db.clone(),
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
            running: RequestTasks::default(),
            idempotency,
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
            message_intake,
            chat_intake,
            video_intake,
            events,
            transcripts,
            transcript_news,
            worker,
            reconciliation,
            backfills,
            epochs,
            recovery,
            drills,
            garbage,
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
