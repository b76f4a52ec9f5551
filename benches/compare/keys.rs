//! The key store at scale, on SQLite and PostgreSQL: shreds, revocations, turns, snapshots,
//! restores, deposits and openings among many recordings, and their memory.
//!
//! The vault is filled by SQL: its keys and pages are real, its audit log is nearly empty, and it
//! has no audio, so that the key store and its rows are measured. All steps run on the same vault,
//! one after the other, as in a running service.

mod footprint;
mod granted;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::stream;
use rand::seq::SliceRandom as _;
use recvault::{
    db::{self, Db, accept, recordings},
    flow::{self, Flow},
    model::{
        actor::Initiator, artefact::Artefact, id::RecordingId, recording::Recording,
        revocation::Target, subject::Address, time::Clock,
    },
    policy::{Decision, DecisionFacts, Permit, Rules, action, decide},
    store::{self, Store},
    twilio,
    vault::{self, TurnReport},
};

use self::footprint::Memory;
use super::{
    Failure, cast,
    desk::Desk,
    filled::{self, Filled, Ground, fill},
    party,
    plan::{Plan, clear},
    server::Databases,
    table::{Row, Table, quantile, rate, time},
};

/// The number of recordings shredded at once.
const MANY: usize = 10_000;
/// The number of timed single shreds, deposits and openings.
const SINGLE: usize = 300;
/// The upper bounds: one shred on SQLite, a revocation, and a turn compared with its snapshot.
const TARGETS: [Duration; 3] = [
    Duration::from_millis(5),
    Duration::from_secs(5),
    Duration::from_secs(5),
];

pub(crate) async fn measure(plan: &Plan, table: &mut Table) -> Result<(), Failure> {
    let sizes = plan
        .size
        .pick(vec![600], vec![10_000], vec![10_000, 1_000_000]);
    let sizes = if plan.rows.is_empty() {
        sizes
    } else {
        plan.rows.clone()
    };
    let mut databases = plan.postgres.as_deref().map(Databases::on);
    let measured = on_all(plan, table, &sizes, databases.as_mut()).await;
    if let Some(databases) = databases {
        databases.drop().await?;
    }
    measured
}

async fn on_all(
    plan: &Plan,
    table: &mut Table,
    sizes: &[usize],
    mut databases: Option<&mut Databases>,
) -> Result<(), Failure> {
    for count in sizes {
        let place = Place {
            folder: plan.folder(&format!("keys-sqlite-{count}"))?,
            name: format!("among {count}, SQLite"),
            is_sqlite: true,
        };
        let emptied = match databases.as_deref_mut() {
            Some(databases) => Some(databases.create(&format!("from_sqlite_{count}")).await?),
            None => None,
        };
        let targets = [Some("sqlite:restored.db".to_owned()), emptied];
        place
            .measure(
                table,
                "sqlite:vault.db".to_owned(),
                *count,
                targets.into_iter().flatten(),
            )
            .await?;
        clear(&place.folder)?;
        if let Some(databases) = databases.as_deref_mut() {
            let [url, target] = [
                databases.create(&format!("of_{count}")).await?,
                databases.create(&format!("from_postgres_{count}")).await?,
            ];
            let folder = plan.folder(&format!("keys-postgres-{count}"))?;
            let place = Place {
                folder,
                name: format!("among {count}, PostgreSQL"),
                is_sqlite: false,
            };
            place
                .measure(table, url, *count, [target].into_iter())
                .await?;
            clear(&place.folder)?;
        }
    }
    Ok(())
}

/// One vault on one database.
struct Place {
    folder: PathBuf,
    name: String,
    is_sqlite: bool,
}

impl Place {
    async fn measure(
        &self,
        table: &mut Table,
        url: String,
        count: usize,
        targets: impl Iterator<Item = String> + Send,
    ) -> Result<(), Failure> {
        let vault = fill(
            Ground {
                url: url.clone(),
                folder: &self.folder,
                store: self.store()?,
            },
            count,
        )
        .await?;
        let rules = || {
            Rules::parse("privacy-policy.toml", recvault::config::SHIPPED_POLICY)
                .map_err(|_| "the shipped policy has a fault")
        };
        let mut order = vault.ids.clone();
        order.shuffle(&mut rand::rng());
        let (single, rest) = order.split_at(SINGLE.min(count / 4));
        let many = rest.get(..MANY.min(rest.len() / 2)).unwrap_or_default();

        let desk = Desk::over(vault.db.clone(), vault.vault.clone(), rules()?);
        let deposited = self.deposits(&vault, desk, single.len()).await?;
        table.add(vec![
            deposited.1,
            self.openings(&vault, &deposited.0).await?,
        ])?;
        table.add(vec![self.single_shreds(&vault, single).await?])?;
        table.add(self.revocation(&vault, &url, many).await?)?;
        table.add(self.turn(&vault, many.len()).await?)?;
        table.add(self.snapshot(&vault).await?)?;
        vault.db.close().await;
        drop(vault);
        for url in targets {
            table.add(vec![self.restore(url).await?])?;
        }
        Ok(())
    }

    fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(
            &store::StoreSettings {
                url: "folder:objects".into(),
                ..Default::default()
            },
            &self.folder,
        )?)
    }

    async fn deposits(
        &self,
        vault: &Filled,
        desk: Desk,
        count: usize,
    ) -> Result<(Vec<RecordingId>, Row), Failure> {
        let mut took = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..count {
            let byte = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"R"))]);
            let (id, each) = desk.deposit(byte).await?;
            took.push(each);
            ids.push(id);
        }
        drop(desk);
        vault.vault.journal().await?;
        let each: Duration = took.iter().sum();
        let ours = format!(
            "{:.0}/s, one after another; {}",
            rate(count as u64, each),
            spread(&mut took)
        );
        Ok((
            ids,
            Row::alone(
                format!("deposits of one byte {}", self.name),
                ours,
                "",
                None,
            ),
        ))
    }

    /// Measures openings as in playback: key look-up, audit entry and the first byte.
    async fn openings(&self, vault: &Filled, ids: &[RecordingId]) -> Result<Row, Failure> {
        let book = cast::rulebook();
        let principal = cast::principal(&["reviewer"]);
        let token = granted::token(vault, &principal).await?;
        let mut took = Vec::new();
        for recording in found(vault, ids).await? {
            let facts = DecisionFacts::new(&principal, &recording, "quality-review".parse()?);
            let Decision::Allow(grant) = decide(&facts, &book, Clock::System.now()) else {
                return Err("the reviewer may listen".into());
            };
            let playable = vault.vault.playable(&grant, Artefact::Audio).await?;
            let id = granted::given(vault, token, &grant).await?;
            let begun = Instant::now();
            drop(vault.vault.open(&grant, id, &playable, 0..1).await?);
            took.push(begun.elapsed());
        }
        Ok(Row::alone(
            format!(
                "opening, key look-up and durable audit entry, {}",
                self.name
            ),
            spread(&mut took),
            "",
            None,
        ))
    }

    async fn single_shreds(&self, vault: &Filled, ids: &[RecordingId]) -> Result<Row, Failure> {
        let reason = "subject-request".parse()?;
        let mut took = Vec::new();
        for recording in found(vault, ids).await? {
            let begun = Instant::now();
            vault.shred(&recording, &reason).await?;
            took.push(begun.elapsed());
        }
        vault.vault.journal().await?;
        let ours = spread(&mut took);
        let met = quantile(&mut took, 0.5) <= TARGETS[0];
        let target = if self.is_sqlite {
            format!("p50 ≤ {}", time(TARGETS[0]))
        } else {
            String::new()
        };
        Ok(Row::alone(
            format!("shred of one {}", self.name),
            ours,
            target,
            self.is_sqlite.then_some(met),
        ))
    }

    async fn revocation(
        &self,
        vault: &Filled,
        url: &str,
        ids: &[RecordingId],
    ) -> Result<Vec<Row>, Failure> {
        let permit = Permit::of_operator(action::Revoke);
        let reason = "subject-request".parse()?;
        let subject = vault.vault.subject(&Address::parse("+4930230125000")?);
        party::name(url, &self.folder, ids, subject).await?;
        vault.vault.journal().await?;
        let flow = self.flow(vault)?;
        let memory = Memory::begin()?;
        let begun = Instant::now();
        let done = flow
            .revocations
            .revoke(
                &permit,
                Target::Subject(subject),
                BTreeSet::new(),
                &reason,
                &|_| {},
            )
            .await?;
        let took = begun.elapsed();
        if usize::try_from(done.counts.shredded)? != ids.len() || done.pending > 0 {
            return Err("the revocation did not reach all of them".into());
        }
        let ours = format!(
            "{}, journal and receipts included; {}",
            time(took),
            memory.end()?
        );
        let what = format!(
            "revocation of a subject with {} at random {}",
            ids.len(),
            self.name
        );
        Ok(vec![Row::alone(
            what,
            ours,
            format!("≤ {}", time(TARGETS[1])),
            Some(took <= TARGETS[1]),
        )])
    }

    /// Returns the use cases of a vault, without a service.
    fn flow(&self, vault: &Filled) -> Result<Flow, Failure> {
        let accounts = twilio::account::TwilioSettings::default()
            .resolve(&self.folder)
            .map_err(|_| "no account is no fault")?;
        let (acceptor, _) = accept::channel(vault.db.clone());
        Ok(Flow::new(flow::Parts {
            vault: vault.vault.clone(),
            db: vault.db.clone(),
            store: self.store()?,
            rulebook: cast::rulebook(),
            client: twilio::TwilioClient::new(&accounts)?,
            accounts,
            acceptor,
            messages: recvault::db::group_commit::channel().0,
            clock: Clock::System,
            settings: flow::WorkSettings::default(),
            epochs: flow::EpochSettings::default(),
            snapshot_every: Duration::from_secs(24 * 3600),
        }))
    }

    async fn turn(&self, vault: &Filled, shreds: usize) -> Result<Vec<Row>, Failure> {
        let memory = Memory::begin()?;
        let turned = vault
            .vault
            .turn(Initiator::Operator)
            .await?
            .ok_or("another process turns")?;
        let TurnReport {
            pages,
            covered,
            took_ms,
            snapshot_took_ms,
            ..
        } = turned;
        let took = Duration::from_millis(took_ms);
        let snapshot = Duration::from_millis(snapshot_took_ms);
        let alone = took.saturating_sub(snapshot);
        let ours = format!(
            "{} and {} for the snapshot; {pages} pages renewed, {covered} receipts; {}",
            time(alone),
            time(snapshot),
            memory.end()?
        );
        let what = format!("epoch turn after {shreds} random shreds {}", self.name);
        Ok(vec![Row::alone(
            what,
            ours,
            format!("≤ {} plus the snapshot", time(TARGETS[2])),
            Some(alone <= TARGETS[2]),
        )])
    }

    async fn snapshot(&self, vault: &Filled) -> Result<Vec<Row>, Failure> {
        let memory = Memory::begin()?;
        let begun = Instant::now();
        let checked = vault.vault.snapshot().await?;
        let took = begun.elapsed();
        let peak = memory.end()?;
        let begun = Instant::now();
        vault.vault.verify_snapshot(checked.snapshot).await?;
        let verified = begun.elapsed();
        let written = took.saturating_sub(verified);
        let size = self.store()?.recovery_size(checked.snapshot).await?;
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let megabytes = |took: Duration| size as f64 / 1e6 / took.as_secs_f64();
        let each = |took: Duration| {
            format!(
                "{:.0} rows/s, {:.0} MB/s",
                rate(checked.rows, took),
                megabytes(took)
            )
        };
        Ok(vec![
            Row::alone(
                format!(
                    "snapshot written {}: {} rows, {} MB",
                    self.name,
                    checked.rows,
                    size / 1_000_000
                ),
                format!("{}, {}; {peak}", time(written), each(written)),
                "",
                None,
            ),
            Row::alone(
                format!("the same verified {}", self.name),
                format!("{}, {}", time(verified), each(verified)),
                "",
                None,
            ),
        ])
    }

    async fn restore(&self, url: String) -> Result<Row, Failure> {
        let db = Db::open(
            &db::DatabaseSettings {
                url,
                ..Default::default()
            },
            &self.folder,
        )
        .await?;
        let kind = db.kind();
        let custody = filled::custody(&self.folder)?;
        let parts = vault::VaultParts {
            db: db.clone(),
            store: self.store()?,
            recovery: self.store()?,
            custody,
            clock: Clock::System,
        };
        let plan = vault::plan(&parts, Default::default()).await?;
        let memory = Memory::begin()?;
        let begun = Instant::now();
        let restored = vault::restore(parts, &plan, vault::Claim::None).await?;
        let took = begun.elapsed();
        db.close().await;
        let ours = format!(
            "{}, {:.0} rows/s; {}",
            time(took),
            rate(restored.rows, took),
            memory.end()?
        );
        Ok(Row::alone(
            format!("restore into {kind} of a snapshot {}", self.name),
            ours,
            "",
            None,
        ))
    }
}

/// Returns the recordings, in the order of the ids.
async fn found(vault: &Filled, ids: &[RecordingId]) -> Result<Vec<Recording>, Failure> {
    let mut all = Vec::with_capacity(ids.len());
    for ids in ids.chunks(1000) {
        all.extend(recordings::find_all(&mut vault.db.read().await?, ids).await?);
    }
    if all.len() == ids.len() {
        Ok(all)
    } else {
        Err("a recording is not there".into())
    }
}

fn spread(took: &mut [Duration]) -> String {
    format!(
        "p50 {}, p99 {}",
        time(quantile(took, 0.5)),
        time(quantile(took, 0.99))
    )
}
