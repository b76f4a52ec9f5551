//! Stops on shredding.

use std::collections::BTreeMap;

use super::{
    Error,
    tx::{Arg, Tx, set},
};
use crate::model::{id::RecordingId, name::Purpose};

/// The purposes of the holds that stand, of each of these recordings that has one.
pub async fn purposes(tx: &mut Tx, ids: &[RecordingId]) -> Result<BTreeMap<RecordingId, Vec<Purpose>>, Error> {
    const SQL: &str = "/* holds.purposes */
        SELECT recording_id, purpose FROM holds
        WHERE recording_id IN (SELECT key FROM json_each($1)) AND lifted_at IS NULL ORDER BY recording_id, name";
    let mut purposes: BTreeMap<RecordingId, Vec<Purpose>> = BTreeMap::new();
    for row in tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await? {
        let id = row.parse("holds", "recording_id", "recording_id")?;
        purposes.entry(id).or_default().push(row.parse("holds", "purpose", "recording_id")?);
    }
    Ok(purposes)
}
