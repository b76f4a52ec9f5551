//! Snapshots (being built).

use super::{Error, Inner};

pub(super) struct Checked {
    pub(super) keys: u64,
}

impl Inner {
    pub(super) async fn write_snapshot(&self) -> Result<u64, Error> {
        Ok(0)
    }
    pub(super) async fn verify_snapshot(&self, _name: u64) -> Result<Checked, Error> {
        Ok(Checked { keys: 0 })
    }
    pub(super) async fn remove_older_files(&self, _epoch: u64) -> Result<(), Error> {
        Ok(())
    }
}
