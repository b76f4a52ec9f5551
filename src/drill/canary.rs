//! A small vault that the drill creates if there are no old copies: it shows that the attack finds
//! existing keys.
//!
//! ```text
//! deposit canaries in two tiers → snapshot → copy everything → shred a third, move one and shred it → copy again → turn → attack with both copies
//! ```
//! Owns this sequence. Its passphrase is random and in memory only, and its recordings are noise.

use std::{convert::Infallible, fs, io, path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{future::try_join_all, stream};
use rand::{Rng as _, RngExt as _};

use super::{
    DrillProgress, Old,
    forget::forget,
    sandbox::{Sandbox, fault},
};
use crate::{
    custody,
    db::{
        self, Db, Term,
        accept::{self, Announcement},
        recordings,
        work::{self, WorkKind},
    },
    evidence::{NewEntry, drill::Canary},
    model::{
        actor::Initiator,
        artefact::Leg,
        id::{HolderId, RecordingId},
        media::SourceRef,
        name::Tier,
        numerals::counted,
        recording::{DiscoveredBy, Recording},
        time::Clock,
    },
    policy::{Permit, action},
    secret::SecretText,
    store::{self, Store},
    vault::{Cause, DepositError, DepositOptions, Error, OnHold, Vault, VaultParts},
};

/// The number of canaries.
const CANARIES: usize = 36;
/// Their tiers.
const TIERS: [&str; 2] = ["plain", "close"];
/// The lease for their deposit.
const LEASE: Duration = Duration::from_secs(600);

/// Runs the sequence. Returns the numbers, and the failures, for people.
pub(super) async fn run(
    clock: &Clock,
    sandbox: &Sandbox,
    say: DrillProgress<'_>,
) -> Result<(Canary, Vec<String>), Error> {
    let home = sandbox.room("canary")?;
    let (vault, db) = create_vault(&home, clock).await?;
    let canaries = deposit(&vault, &db, clock).await?;
    vault.snapshot().await?;
    let mut old = Old::default();
    keep(&home, sandbox, &mut old)?;

    let reason = "operator".parse().expect("it is a code");
    let shreds = Permit::of_operator(action::Shred);
    let cause = Cause::permitted(&shreds, &reason);
    let (doomed, living) = canaries.split_at(CANARIES / 3);
    for canary in doomed {
        shred(&vault, cause, canary).await?;
    }
    // Its key has been on two pages when it is destroyed.
    let moved = living.first().ok_or(Error::Gone)?;
    let there = TIERS
        .into_iter()
        .find(|tier| *tier != moved.tier.as_str())
        .unwrap_or_default();
    relocate(&vault, moved, &there.parse().expect("it is a name")).await?;
    vault.journal().await?;
    shred(&vault, cause, moved).await?;
    keep(&home, sandbox, &mut old)?;

    let before = vault.drill_view().root();
    vault.turn(Initiator::Operator).await?;
    say("the small vault has turned: attacking it with its old copies");
    let attack = forget(vault.drill_view(), &old, Some(before), sandbox, &|_| {}).await?;
    let reached_with_old_root = attack.with_kept.unwrap_or(0);
    let canary = Canary {
        artefacts: attack.looked.len() as u64,
        page_versions: attack.page_versions,
        shredded: attack.shredded,
        shredded_reached: attack.shredded_reached.len() as u64,
        living: attack.living,
        living_reached: attack.living_reached,
        shredded_reached_with_old_root: reached_with_old_root,
        closure_bites: attack.shredded > 0 && reached_with_old_root == attack.shredded,
    };
    let mut failures: Vec<String> = attack
        .failures()
        .iter()
        .map(|failure| format!("in the small vault: {failure}"))
        .collect();
    if !canary.closure_bites {
        failures.push(format!(
            "in the small vault: with the old root key, the attack reaches only \
             {reached_with_old_root} of {}, so its result proves nothing",
            counted(canary.shredded, "shredded recording", "shredded recordings")
        ));
    }
    db.close().await;
    Ok((canary, failures))
}

/// Creates a vault in this folder.
async fn create_vault(home: &Path, clock: &Clock) -> Result<(Vault, Db), Error> {
    let mut passphrase = [0; 32];
    rand::rng().fill_bytes(&mut passphrase);
    let settings = custody::CustodySettings {
        passphrase: Some(SecretText::new(hex::encode(passphrase))),
        ..Default::default()
    };
    let custody = custody::open(settings, home)?;
    let db = Db::open(
        &db::DatabaseSettings {
            url: "sqlite:vault.db".into(),
            connections: 2,
        },
        home,
    )
    .await?
    .timed_by(clock);
    let store = Store::make(
        &store::StoreSettings {
            url: "folder:objects".into(),
            ..Default::default()
        },
        home,
    )?;
    Vault::create(&db, custody.as_ref(), clock).await?;
    let parts = VaultParts {
        db: db.clone(),
        store: store.clone(),
        recovery: store,
        custody,
        clock: clock.clone(),
    };
    Ok((Vault::unlock(parts).await?, db))
}

/// Announces canaries and deposits them, as any recording.
async fn deposit(vault: &Vault, db: &Db, clock: &Clock) -> Result<Vec<Recording>, Error> {
    let announced: Vec<Announcement> = (0..CANARIES)
        .map(|number| announcement(vault, number))
        .collect();
    let (acceptor, committer) = accept::channel(db.clone());
    let announcing = async {
        let done = try_join_all(
            announced
                .into_iter()
                .map(|announcement| acceptor.accept(announcement)),
        )
        .await;
        drop(acceptor);
        done
    };
    tokio::join!(committer.run(|| clock.now()), announcing).1?;
    let holder = HolderId::random(&mut rand::rng());
    let leased = db.unit("canary.deposit", async |mut unit| {
        unit.without_entry("whose the work is");
        let term = Term::begin(&mut unit, LEASE).await?;
        work::lease(
            &mut unit,
            &[WorkKind::FetchMedia],
            holder,
            term,
            CANARIES as i64,
        )
        .await
    });
    let leases = leased.await?;
    let mut canaries = Vec::with_capacity(leases.len());
    for lease in leases {
        let lease = lease.parsed::<RecordingId>()?;
        let canary = recordings::find(&mut db.read().await?, lease.subject)
            .await?
            .ok_or(Error::Gone)?;
        let mut noise = vec![0; rand::rng().random_range(1..2000)];
        rand::rng().fill_bytes(&mut noise);
        let body = stream::iter([Ok::<_, Infallible>(Bytes::from(noise))]);
        let stored = vault
            .store_media(&canary, Leg::All, "audio/wav", body)
            .await
            .map_err(|error| match error {
                DepositError::Vault(error) => error,
                DepositError::Source(never) => match never {},
            })?;
        let options = DepositOptions::default();
        let entered = vault.unit("canary.enter", async |mut unit| {
            vault.enter(&mut unit, &canary, &stored, &options).await?;
            work::finish(&mut unit, &lease).await?;
            Ok::<_, Error>(())
        });
        entered.await?;
        canaries.push(canary);
    }
    vault.journal().await?;
    Ok(canaries)
}

/// Moves a canary to another tier.
async fn relocate(vault: &Vault, canary: &Recording, to: &Tier) -> Result<(), Error> {
    let moved = vault.unit("canary.relocate", async |mut unit| {
        let now = vault.now();
        let by = Initiator::Operator;
        vault.relocate(&mut unit, canary, to).await?;
        unit.audit(NewEntry::recording_moved(
            now,
            by,
            canary.id,
            &canary.tier,
            to,
        ));
        Ok::<_, Error>(())
    });
    moved.await
}

/// Shreds a canary, and makes that durable in the store.
async fn shred(vault: &Vault, cause: Cause<'_>, canary: &Recording) -> Result<(), Error> {
    let shredded = vault.unit("canary.shred", async |mut unit| {
        vault.shred(&mut unit, &[canary], cause, OnHold::Keep).await
    });
    shredded.await?;
    vault.make_durable().await
}

fn announcement(vault: &Vault, number: usize) -> Announcement {
    let digits = || hex::encode(rand::random::<[u8; 16]>());
    let account = format!("AC{}", digits());
    let account = account.parse().expect("it has the form of one");
    let source = format!("RE{}", digits());
    let source_ref = SourceRef::parse(account, &source).expect("it has the form of one");
    Announcement {
        labels: std::collections::BTreeMap::new(),
        heard_by: DiscoveredBy::Callback,
        encryption: None,
        id: source_ref.recording_id(vault.id()),
        source_ref,
        call: None,
        conference: None,
        thread: None,
        author: None,
        files: 0,
        source: None,
        source_status: "completed".into(),
        error_code: None,
        duration_s: None,
        channels: None,
        tier: TIERS
            .get(number % TIERS.len())
            .copied()
            .unwrap_or_default()
            .parse()
            .expect("it is a name"),
        policy_version: "canary".into(),
        policy_digest: "0".repeat(64),
        started_at: None,
    }
}

/// Copies database and store, as a backup would; there are no concurrent writers.
fn keep(home: &Path, sandbox: &Sandbox, old: &mut Old) -> Result<(), Error> {
    let room = sandbox.room("kept")?;
    for name in ["vault.db", "vault.db-wal"] {
        match fs::copy(home.join(name), room.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(fault(home)(error));
            }
            _ => {}
        }
    }
    for folder in ["objects/snapshots", "objects/journal"] {
        let from = home.join(folder);
        let to = room.join(folder);
        fs::create_dir_all(&to).map_err(fault(&to))?;
        for entry in fs::read_dir(&from).map_err(fault(&from))? {
            let entry = entry.map_err(fault(&from))?;
            fs::copy(entry.path(), to.join(entry.file_name())).map_err(fault(&from))?;
        }
    }
    old.dbs.push(room.join("vault.db").display().to_string());
    old.stores.push(room);
    Ok(())
}
