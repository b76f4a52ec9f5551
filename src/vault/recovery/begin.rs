//! The beginning of a recovery file: its name and header, as one session of the database sees them.

use super::{ChainPosition, Header, Link, write::Writing};
use crate::{
    db::{Tx, audit, chain, epochs, timelines},
    keyring,
    model::id::ObjectId,
    store::{RecoveryKind, RecoveryName},
    vault::{Inner, error::Error},
};

/// A recovery file that has begun.
pub(in crate::vault) struct BegunFile {
    pub(in crate::vault) file: Writing,
    pub(in crate::vault) name: RecoveryName,
    pub(in crate::vault) header: Header,
    /// The newest piece of the journal before it.
    pub(in crate::vault) before: Option<chain::JournalPiece>,
}

impl Inner {
    /// Begins a file about the state that this session sees; its audit entries follow the number
    /// `since`.
    ///
    /// # Errors
    /// [`keyring::Error::OtherEpoch`] inside if this process has the root of another epoch than the
    /// session sees; the database's.
    pub(in crate::vault) async fn begin_file(
        &self,
        tx: &mut Tx,
        kind: RecoveryKind,
        since: i64,
    ) -> Result<BegunFile, Error> {
        let epoch = epochs::current(tx).await?.ok_or(Error::NoVault)?;
        let root = self.root.key();
        if root.epoch != epoch.epoch {
            return Err(keyring::Error::OtherEpoch(epoch.epoch).into());
        }
        let path = timelines::path(tx).await?;
        let name = RecoveryName {
            kind,
            epoch: epoch.epoch,
            timeline: path.current(),
            seq: audit::head(tx).await?,
            id: ObjectId::random(&mut rand::rng()),
        };
        let before = chain::newest(tx).await?;
        let newest = before.as_ref().map_or(0, |before| before.number);
        let position = ChainPosition {
            path,
            entry: audit::position(tx).await?.ok_or(Error::NoVault)?,
            since,
            chain: match kind {
                RecoveryKind::Snapshot => newest,
                RecoveryKind::Journal => newest + 1,
            },
            previous: before.as_ref().map(Link::to).transpose()?,
        };
        let now = self.clock.now();
        let header = Header::of(name, self.id, &epoch.root_sealed, now, position);
        let file = Writing::begin(&self.recovery, name, &header, &root).await?;
        Ok(BegunFile {
            file,
            name,
            header,
            before,
        })
    }
}
