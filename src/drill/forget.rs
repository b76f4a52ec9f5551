//! The attack on one vault, and the check of its result.

use std::{collections::BTreeSet, sync::Arc};

use aws_lc_rs::digest;

use super::{
    DrillProgress, Old,
    attacker::{Attacker, ExaminedCopy},
    census::Census,
    old::{self, ExaminedKind, OldCopy},
    sandbox::Sandbox,
};
use crate::{
    evidence::drill::{Canary, Forgetting},
    keyring::RootKey,
    model::{id::RecordingId, numerals::counted},
    store::{self, RecoveryKind},
    vault::{DrillView, Error},
};

/// How often the attack restarts when the epoch turns meanwhile.
const TRIES: usize = 3;
/// The maximum number of names shown per failure.
const SHOWN: usize = 10;

/// The result of an attack.
#[derive(Default)]
pub(super) struct Attack {
    pub(super) looked: Vec<ExaminedCopy>,
    pub(super) page_versions: u64,
    page_versions_opened: u64,
    keys_reached: u64,
    pub(super) shredded: u64,
    pub(super) shredded_reached: Vec<RecordingId>,
    waiting: u64,
    waiting_reached: u64,
    pub(super) living: u64,
    pub(super) living_reached: u64,
    /// Shredded recordings that are reached with the retained root page key, if there is one.
    pub(super) with_kept: Option<u64>,
}

/// Attacks a vault with all copies; and again with a `kept` root page key, if there is one.
///
/// # Errors
/// Of database, recovery store, custody or sandbox.
pub(super) async fn forget(
    vault: DrillView<'_>,
    old: &Old,
    kept: Option<Arc<RootKey>>,
    sandbox: &Sandbox,
    say: DrillProgress<'_>,
) -> Result<Attack, Error> {
    let found = old::find(old, sandbox).await?;
    let mut tries = 1;
    loop {
        let epoch = vault.follow().await?;
        let attack = attempt(vault, &found, kept.clone(), say).await;
        let turned = !vault.is_present(epoch).await?;
        if !turned || tries == TRIES {
            for found in &found {
                if let Ok(old::OldCopySource::Db(db)) = &found.source {
                    db.close().await;
                }
            }
            return attack;
        }
        say("the epoch has turned meanwhile: starting again");
        tries += 1;
    }
}

async fn attempt(
    vault: DrillView<'_>,
    found: &[OldCopy],
    kept: Option<Arc<RootKey>>,
    say: DrillProgress<'_>,
) -> Result<Attack, Error> {
    say("reading the live database");
    let mut attacker = Attacker::of(vault);
    let mut tx = vault.db().snapshot().await?;
    let live = attacker.look("the live database", ExaminedKind::LiveDatabase);
    attacker.take_rows(live, &mut tx).await?;
    let census = Census::of(&mut tx).await?;
    drop(tx);
    let from_live_rows = attacker.attack().await?.keys;
    let living_reached = census
        .living
        .values()
        .filter(|key| from_live_rows.contains(*key))
        .count() as u64;
    drop(from_live_rows);

    take_live_files(&mut attacker, vault).await?;
    say(&format!(
        "examining {} and {}",
        counted(found.len(), "old copy", "old copies"),
        counted(attacker.looked.len(), "live copy", "live copies")
    ));
    for old in found {
        take_old(&mut attacker, old).await;
    }
    let reached = attacker.attack().await?;
    say(&format!(
        "tried {} of key pages with {}; {} opened",
        counted(reached.tried, "version", "versions"),
        counted(attacker.roots(), "root page key", "root page keys"),
        reached.opened
    ));
    let among = |keys: &BTreeSet<String>, covered: bool| -> Vec<RecordingId> {
        census
            .shredded(covered)
            .filter(|(key, _)| keys.contains(*key))
            .map(|(_, id)| id)
            .collect()
    };
    let looked = attacker.looked.clone();
    let with_kept = match kept {
        None => None,
        Some(kept) => {
            attacker.take_root(kept);
            Some(among(&attacker.attack().await?.keys, true).len() as u64)
        }
    };
    Ok(Attack {
        looked,
        page_versions: reached.tried,
        page_versions_opened: reached.opened,
        keys_reached: reached.keys.len() as u64,
        shredded: census.shredded(true).count() as u64,
        shredded_reached: among(&reached.keys, true),
        waiting: census.shredded(false).count() as u64,
        waiting_reached: among(&reached.keys, false).len() as u64,
        living: census.living.len() as u64,
        living_reached,
        with_kept,
    })
}

/// Collects every snapshot and piece of the journal that the recovery store has now.
async fn take_live_files(attacker: &mut Attacker<'_>, vault: DrillView<'_>) -> Result<(), Error> {
    for kind in RecoveryKind::ALL {
        for (name, _) in vault.recovery().list_recovery(kind).await? {
            let live = if kind == RecoveryKind::Snapshot {
                ExaminedKind::LiveSnapshot
            } else {
                ExaminedKind::LiveJournal
            };
            let copy = attacker.look(&name.to_string(), live);
            match attacker.take_file(copy, vault.recovery(), name).await {
                Ok(()) => {}
                // Removed since it was listed.
                Err(Error::Store(store::Error::NotFound { .. })) => drop(attacker.looked.pop()),
                Err(error @ Error::Store(_)) => return Err(error),
                Err(error) => attacker.give_up(copy, error.to_string()),
            }
        }
    }
    Ok(())
}

async fn take_old(attacker: &mut Attacker<'_>, found: &OldCopy) {
    let copy = attacker.look(&found.name, found.kind);
    let taken = match &found.source {
        Ok(source) => attacker
            .take(copy, source)
            .await
            .map_err(|error| match error {
                Error::NoVault => "it holds no vault".to_owned(),
                Error::OtherVault { db, .. } => format!("it is of another vault, {db}"),
                other => other.to_string(),
            }),
        Err(why) => Err(why.clone()),
    };
    // A spare copy adds nothing, because it is also read in another form.
    if let Err(why) = taken.or_else(|why| if found.is_spare { Ok(()) } else { Err(why) }) {
        attacker.give_up(copy, why);
    }
}

impl Attack {
    /// Returns the failures, for people.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self
            .looked
            .iter()
            .filter_map(|looked| {
                Some(format!(
                    "`{}` cannot be read: {}",
                    looked.name,
                    looked.unreadable.as_ref()?
                ))
            })
            .collect();
        if !self.shredded_reached.is_empty() {
            let ids: Vec<String> = self
                .shredded_reached
                .iter()
                .take(SHOWN)
                .map(ToString::to_string)
                .collect();
            let more = if self.shredded_reached.len() > SHOWN {
                ", …"
            } else {
                ""
            };
            failures.push(format!(
                "{} reached: {}{more}",
                counted(
                    self.shredded_reached.len(),
                    "shredded recording was",
                    "shredded recordings were"
                ),
                ids.join(", ")
            ));
        }
        if self.living_reached != self.living {
            failures.push(format!(
                "only {} of {} reached from the live rows",
                self.living_reached,
                counted(
                    self.living,
                    "living recording was",
                    "living recordings were"
                )
            ));
        }
        failures
    }

    /// Returns the numbers.
    pub(super) fn evidence(&self, canary: Option<Canary>) -> Forgetting {
        let list = serde_json::to_vec(&self.looked).expect("texts and numbers have a JSON form");
        Forgetting {
            artefacts: self.looked.len() as u64,
            unreadable: self
                .looked
                .iter()
                .filter(|looked| looked.unreadable.is_some())
                .count() as u64,
            artefacts_sha256: hex::encode(digest::digest(&digest::SHA256, &list)),
            own_artefacts: canary.is_some(),
            page_versions: self.page_versions,
            page_versions_opened: self.page_versions_opened,
            keys_reached: self.keys_reached,
            shredded: self.shredded,
            shredded_reached: self.shredded_reached.len() as u64,
            waiting: self.waiting,
            waiting_reached: self.waiting_reached,
            living: self.living,
            living_reached: self.living_reached,
            canary,
        }
    }
}
