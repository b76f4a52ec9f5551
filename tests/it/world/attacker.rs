//! The attacker: keeps a copy of all data in the database and in the store, at every moment, and
//! finally receives all of the present custody.
//!
//! Knows the formats but not the vault's code: opens whatever can be opened, uses the result for
//! further attempts, and stops when there is nothing new.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    ops::Range,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use recvault::{
    custody::{Custody, RootName},
    db::{
        Db, epochs,
        image::{self, Image, Table},
        keys,
    },
    keyring::{PageRow, RootKey, fingerprint, reach::reach, recovery_key},
    model::id::{PageId, VaultId},
    seal::{Layout, Opener, RecoveryContext, SegmentLength},
    secret::Key,
};
use serde_json::Value;

use super::FaultyStore;

/// Copies of all ages.
pub(crate) struct Attacker {
    vault: VaultId,
    pages: BTreeMap<(PageId, i64, Vec<u8>), PageRow>,
    root_sealed: BTreeSet<(u64, Vec<u8>)>,
    files: BTreeMap<String, Bytes>,
}

impl Attacker {
    pub(crate) fn of(vault: VaultId) -> Self {
        Self {
            vault,
            pages: BTreeMap::new(),
            root_sealed: BTreeSet::new(),
            files: BTreeMap::new(),
        }
    }

    /// Copies every row of the key store and every recovery file.
    pub(crate) async fn copy(&mut self, db: &Db, store: &FaultyStore) {
        let mut tx = db.read().await.unwrap();
        for page in keys::all_pages(&mut tx).await.unwrap() {
            self.keep(page);
        }
        for row in epochs::newest(&mut tx, 1000).await.unwrap() {
            self.root_sealed.insert((row.epoch, row.root_sealed));
        }
        let contents = store.contents().await;
        self.files.extend(
            contents
                .into_iter()
                .filter(|(path, _)| path.contains("snapshots/") || path.contains("journal/")),
        );
    }

    /// Keeps the values that custody sealed, wherever they may have been written.
    pub(crate) fn overhear(&mut self, sealed: Vec<(RootName, Vec<u8>)>) {
        self.root_sealed.extend(
            sealed
                .into_iter()
                .map(|(root, sealed)| (root.epoch, sealed)),
        );
    }

    fn keep(&mut self, page: PageRow) {
        self.pages
            .insert((page.id, page.generation, page.sealed.clone()), page);
    }

    /// Returns the fingerprints of all record keys that the copies and the present custody yield.
    pub(crate) async fn reaches(&mut self, custody: &dyn Custody) -> BTreeSet<String> {
        let (mut roots, mut tried): (Vec<RootKey>, BTreeSet<(u64, Vec<u8>)>) =
            (Vec::new(), BTreeSet::new());
        let mut closed = self.files.clone();
        let mut record_keys = BTreeSet::new();
        let names = custody.roots().await.unwrap();
        loop {
            let before = (roots.len(), closed.len(), self.root_sealed.len());
            for file in self.files.values() {
                let header = header(file);
                let sealed = BASE64
                    .decode(header["root_sealed"].as_str().unwrap())
                    .unwrap();
                self.root_sealed
                    .insert((header["epoch"].as_u64().unwrap(), sealed));
            }
            for (epoch, sealed) in self
                .root_sealed
                .iter()
                .filter(|(_, sealed)| !sealed.is_empty())
            {
                if !tried.insert((*epoch, sealed.clone())) {
                    continue;
                }
                // The stated name may be wrong: every root is tried.
                for name in &names {
                    if let Ok(key) = custody.open(*name, sealed).await {
                        roots.push(RootKey {
                            epoch: name.epoch,
                            key,
                        });
                    }
                }
            }
            for (path, file) in std::mem::take(&mut closed) {
                match roots.iter().find_map(|root| opened(&file, root)) {
                    Some(lines) => record_keys.extend(self.read(&lines)),
                    None => drop(closed.insert(path, file)),
                }
            }
            if before == (roots.len(), closed.len(), self.root_sealed.len()) {
                break;
            }
        }
        let keys: Vec<&Key> = roots.iter().map(|root| &root.key).collect();
        record_keys.extend(
            reach(
                &keys,
                self.pages.values().cloned().collect::<Vec<_>>(),
                self.vault,
            )
            .record_keys,
        );
        record_keys
    }

    /// Collects the content of a recovery file: pages, sealed root page keys, and the fingerprints
    /// of record keys.
    fn read(&mut self, lines: &[u8]) -> Vec<String> {
        let mut table = None;
        let mut keys = Vec::new();
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            if line[0] == b'[' {
                let row = Image::parse(table.unwrap(), line).unwrap();
                match row.table() {
                    Table::Pages => self.keep(image::page_of(&row).unwrap()),
                    Table::Epochs => {
                        let epoch = u64::try_from(row.int("epoch").unwrap()).unwrap();
                        self.root_sealed
                            .insert((epoch, row.bytes("root_sealed").unwrap().to_vec()));
                    }
                    _ => {}
                }
                continue;
            }
            let mark: Value = serde_json::from_slice(line).unwrap();
            if let Some(name) = mark["table"].as_str() {
                table = Table::from_name(name);
            } else if let Some(key) = mark["key"].as_str() {
                keys.push(fingerprint(
                    &Key::from_slice(&BASE64.decode(key).unwrap()).unwrap(),
                ));
            }
        }
        keys
    }
}

fn header(file: &[u8]) -> Value {
    serde_json::from_slice(file.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
}

/// Returns the lines of a recovery file, if it was sealed under this root page's key.
fn opened(file: &Bytes, root: &RootKey) -> Option<Vec<u8>> {
    let length = file.iter().position(|byte| *byte == b'\n')? + 1;
    let id = header(file)["file"].as_str()?.parse().ok()?;
    let line = file.slice(..length);
    let body = file.slice(length..);
    let piece = |range: Range<u64>| {
        body.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
    };
    let layout = Layout::of(body.len() as u64, SegmentLength::Media).ok()?;
    let context = RecoveryContext { header: &line };
    let head = piece(layout.header());
    let last = piece(layout.final_segment());
    let mut opener = Opener::new(&recovery_key(root, id), &context, layout, &head, last).ok()?;
    let mut lines = Vec::new();
    for span in layout
        .spans(0..layout.plain_len(), NonZeroUsize::MIN)
        .unwrap()
    {
        for slice in opener.open(&span, piece(span.sealed())).ok()? {
            lines.extend_from_slice(&slice);
        }
    }
    Some(lines)
}
