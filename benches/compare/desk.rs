//! Deposits without a network: a vault in this process, and recordings that are announced only for
//! their deposit.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use recvault::{
    db::{
        Db, Term,
        accept::{self, Acceptor, Announcement},
        recordings,
        work::{self, Lease, WorkKind},
    },
    model::{
        artefact::Leg,
        id::{HolderId, RecordingId},
        recording::{DiscoveredBy, Recording},
        time::Clock,
    },
    policy::Rules,
    vault::{DepositOptions, Vault},
};

use super::{Failure, cast, service::Home};

/// A vault for deposits.
pub(crate) struct Desk {
    db: Db,
    vault: Vault,
    rules: Rules,
    acceptor: Acceptor,
}

impl Desk {
    pub(crate) async fn open(home: &Home) -> Result<Self, Failure> {
        let app = home.app().await?;
        Ok(Self::over(
            app.db.clone(),
            app.unlock().await?,
            app.rules()?,
        ))
    }

    /// Uses a vault that is open already.
    pub(crate) fn over(db: Db, vault: Vault, rules: Rules) -> Self {
        let (acceptor, committer) = accept::channel(db.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "the committer ends with the desk"
        )]
        tokio::spawn(async move { committer.run(|| Clock::System.now()).await });
        Self {
            db,
            vault,
            rules,
            acceptor,
        }
    }

    /// Deposits a stream as the audio of a new recording. Returns the time of the deposit, without
    /// the announcement.
    pub(crate) async fn deposit<E>(
        &self,
        stream: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<(RecordingId, Duration), Failure>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let (lease, recording) = self.due().await?;
        let begun = Instant::now();
        let vault = &self.vault;
        let stored = vault
            .store_media(&recording, Leg::All, "audio/wav", stream)
            .await?;
        let options = DepositOptions::default();
        let entered = vault.unit("entered", async |mut unit| {
            vault
                .enter(&mut unit, &recording, &stored, &options)
                .await?;
            work::finish(&mut unit, &lease).await?;
            Ok::<_, recvault::vault::Error>(())
        });
        entered.await?;
        Ok((recording.id, begun.elapsed()))
    }

    /// Closes it, so that a service may use the folder.
    pub(crate) async fn close(self) {
        drop(self.acceptor);
        self.db.close().await;
    }

    async fn due(&self) -> Result<(Lease<RecordingId>, Recording), Failure> {
        let now = Clock::System.now();
        let recording = cast::recording(&self.rules, now);
        self.acceptor
            .accept(Announcement {
                id: recording.id,
                source_ref: recording.source_ref.clone(),
                call: None,
                conference: None,
                thread: None,
                author: None,
                files: 0,
                source: recording.source,
                source_status: recording.source_status,
                error_code: None,
                duration_s: recording.duration_s,
                channels: recording.channels,
                tier: recording.tier,
                policy_version: recording.policy_version,
                policy_digest: recording.policy_digest,
                started_at: None,
                labels: Default::default(),
                heard_by: DiscoveredBy::Callback,
                encryption: None,
            })
            .await?;
        let holder = HolderId::random(&mut rand::rng());
        let leased = self.db.unit("leased", async |mut unit| {
            unit.without_entry("a bench");
            let term = Term::begin(&mut unit, Duration::from_secs(600)).await?;
            work::lease(&mut unit, &[WorkKind::FetchMedia], holder, term, 1).await
        });
        let lease = leased.await?.pop().ok_or("no work is due")?;
        let lease = lease.parsed::<RecordingId>()?;
        let found = recordings::find(&mut self.db.read().await?, lease.subject).await?;
        Ok((
            lease,
            found.ok_or("an announced recording is in the database")?,
        ))
    }
}
