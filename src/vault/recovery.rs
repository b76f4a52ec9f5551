//! Recovery files: the files from which the store and custody alone rebuild the vault.
//!
//! ```text
//! header: one line of JSON in the clear: format, vault, epoch, number of the last audit entry it knows, path of its log, file id, time, sealed root page key,
//!         position of that entry, place in the journal's chain, predecessor
//! body:   one FLOE message, bound to the header, under HKDF(root page key, file id); lines of JSON
//! ```
//! Owns this envelope. Lines of a snapshot may stand in objects that several snapshots name
//! ([`included`]); whoever reads the file gets them in their place. A file becomes unreadable with the destruction of its epoch's root: only
//! that root opens the key in its header. Refuses to know what the lines mean;
//! [`snapshot`](super::snapshot) and [`journal`](super::journal) define that.

mod begin;
mod included;
mod read;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

pub(super) use self::{
    begin::BegunFile,
    included::{IncludedObject, MAX_SIZE},
    read::{Front, RecoveryFile},
    write::Writing,
};
use super::error::Error;
use crate::{
    custody::{Custody, RootName},
    db::{self, chain},
    evidence::Position,
    keyring::RootKey,
    model::{
        id::{ObjectId, VaultId},
        time::Timestamp,
        timeline::{LogPath, LogPoint},
    },
    store::{RecoveryKind, RecoveryName},
};

/// The maximum length of a header: each restore of the vault adds some forty bytes.
pub(super) const MAX_HEADER: usize = 64 * 1024;

/// The first line of a recovery file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    format: String,
    /// The vault.
    pub(super) vault: VaultId,
    /// The epoch whose root opens it.
    pub(super) epoch: u64,
    /// The number of the newest audit entry that it knows of.
    pub(super) seq: i64,
    /// The timelines that its log goes through; it was written in the last one.
    pub(super) path: LogPath,
    file: ObjectId,
    /// When it was written.
    pub(super) at: Timestamp,
    root_sealed: String,
    /// The newest audit entry that it knows of.
    pub(super) entry: Position,
    /// Its audit entries follow this number without a gap; 0 in a snapshot, which has all.
    pub(super) since: i64,
    /// Its place in the journal's chain, from 1; in a snapshot, the place of the newest piece that
    /// its database knew of, 0 for none.
    pub(super) chain: i64,
    /// The piece before it; in a snapshot, that newest piece.
    pub(super) previous: Option<Link>,
}

/// A piece of the journal as its successor names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    /// Its name.
    pub(super) name: RecoveryName,
    /// SHA-256 of its header, as lower-case hex.
    pub(super) sha256: String,
}

impl Link {
    /// Returns the link to a piece that the database knows.
    pub(super) fn to(piece: &chain::JournalPiece) -> Result<Self, Error> {
        let inconsistent = |_| db::Error::Inconsistent {
            table: "turner",
            column: "chain_name",
            id: "1".into(),
        };
        Ok(Self {
            name: piece.name.parse().map_err(inconsistent)?,
            sha256: piece.digest.clone(),
        })
    }
}

/// The position of a file in the audit log and in the journal's chain.
#[derive(Clone, Debug)]
pub(super) struct ChainPosition {
    /// See [`Header::path`].
    pub(super) path: LogPath,
    /// The newest audit entry that it knows of.
    pub(super) entry: Position,
    /// See [`Header::since`].
    pub(super) since: i64,
    /// See [`Header::chain`].
    pub(super) chain: i64,
    /// See [`Header::previous`].
    pub(super) previous: Option<Link>,
}

impl Header {
    fn format_of(kind: RecoveryKind) -> &'static str {
        match kind {
            RecoveryKind::Snapshot => "recvault/snapshot/3",
            RecoveryKind::Journal => "recvault/journal/2",
        }
    }

    /// Returns the header of the file of this name.
    pub(super) fn of(
        name: RecoveryName,
        vault: VaultId,
        root_sealed: &[u8],
        at: Timestamp,
        standing: ChainPosition,
    ) -> Self {
        let ChainPosition {
            path,
            entry,
            since,
            chain,
            previous,
        } = standing;
        Self {
            format: Self::format_of(name.kind).into(),
            vault,
            epoch: name.epoch,
            seq: name.seq,
            path,
            file: name.id,
            at,
            root_sealed: BASE64.encode(root_sealed),
            entry,
            since,
            chain,
            previous,
        }
    }

    /// Returns the point in the audit log at which it was written.
    pub(super) fn point(&self) -> LogPoint {
        LogPoint {
            timeline: self.path.current(),
            seq: self.seq,
        }
    }

    /// Returns its SHA-256 as lower-case hex, by which its successor names it. No other file has
    /// the same one, because its id is random.
    pub(super) fn digest(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, &self.line()))
    }

    /// Returns the line, its line end included.
    fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("ids, numbers and texts have a JSON form");
        line.push(b'\n');
        line
    }

    /// Returns the name that a file with this beginning must have, if it is a recovery file. The
    /// name is not trusted until the file has been read under it.
    pub(super) fn name_of(bytes: &[u8]) -> Option<RecoveryName> {
        let line = bytes.split(|byte| *byte == b'\n').next()?;
        let header: Self = serde_json::from_slice(line).ok()?;
        let kind = RecoveryKind::ALL
            .into_iter()
            .find(|kind| Self::format_of(*kind) == header.format)?;
        Some(RecoveryName {
            kind,
            epoch: header.epoch,
            timeline: header.path.current(),
            seq: header.seq,
            id: header.file,
        })
    }

    /// Returns the sealed root page key in it; `None` if it is not valid base64.
    pub(super) fn root_sealed(&self) -> Option<Vec<u8>> {
        BASE64.decode(&self.root_sealed).ok()
    }

    /// Reads the first line of the file of this name. Returns the header and the line's length.
    ///
    /// # Errors
    /// [`Error::RecoveryFile`].
    pub(super) fn read(name: RecoveryName, bytes: &[u8]) -> Result<(Self, usize), Error> {
        let fault = |why| Error::RecoveryFile {
            name: name.to_string(),
            why,
        };
        let length = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(|| fault("it has no header"))?
            + 1;
        let line = bytes.get(..length).unwrap_or_default();
        let header: Self = serde_json::from_slice(line)
            .map_err(|_| fault("its header is not that of a recovery file"))?;
        if header.format != Self::format_of(name.kind) {
            return Err(fault("its format is not one that this version reads"));
        }
        if (header.epoch, header.point(), header.file) != (name.epoch, name.point(), name.id)
            || header.line() != line
        {
            return Err(fault("it is another file than its name says"));
        }
        Ok((header, length))
    }
}

/// Root page keys of opened recovery files, so that custody is called once for each.
#[derive(Default)]
pub(super) struct Roots(BTreeMap<(u64, String), Arc<RootKey>>);

impl Roots {
    /// Returns the key in a header.
    ///
    /// # Errors
    /// Custody's, [`custody::Error::NoRoot`](crate::custody::Error::NoRoot) above all: the file is
    /// older than the root.
    pub(super) async fn open(
        &mut self,
        custody: &dyn Custody,
        header: &Header,
    ) -> Result<Arc<RootKey>, Error> {
        let place = (header.epoch, header.root_sealed.clone());
        if let Some(known) = self.0.get(&place) {
            return Ok(Arc::clone(known));
        }
        let sealed = BASE64
            .decode(&header.root_sealed)
            .map_err(|_| crate::custody::Error::NotAuthentic)?;
        let key = custody
            .open(
                RootName {
                    vault: header.vault,
                    epoch: header.epoch,
                },
                &sealed,
            )
            .await?;
        let root = Arc::new(RootKey {
            epoch: header.epoch,
            key,
        });
        self.0.insert(place, Arc::clone(&root));
        Ok(root)
    }
}

#[cfg(test)]
mod tests;
