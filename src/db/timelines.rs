//! The timelines of the audit log: one row for each restore, and one for the first.
//!
//! Owns the table. Refuses to know the meaning of a timeline; the model has that.

use super::{
    error::Error,
    tx::{Arg, Tx},
};
use crate::model::timeline::{Fork, LogPath};

/// Returns the path of this log.
pub async fn path(tx: &mut Tx) -> Result<LogPath, Error> {
    const SQL: &str =
        "/* timelines.path */ SELECT timeline, behind FROM timelines ORDER BY timeline";
    let rows = tx.fetch_all(SQL, &[]).await?;
    let mut forks = Vec::with_capacity(rows.len());
    for row in &rows {
        forks.push(Fork {
            timeline: row.number("timelines", "timeline", "timeline")?,
            behind: row.int("behind")?,
        });
    }
    LogPath::try_from(forks).map_err(|_| Error::Inconsistent {
        table: "timelines",
        column: "timeline",
        id: "1".into(),
    })
}

/// Replaces the path in a rebuilt database.
pub async fn rebuild(tx: &mut Tx, path: &LogPath) -> Result<(), Error> {
    const CLEAR: &str = "/* timelines.clear */ DELETE FROM timelines";
    const ENTER: &str = "/* timelines.enter */ INSERT INTO timelines (timeline, behind)";
    tx.execute(CLEAR, &[]).await?;
    let forks = path.forks().iter();
    let args: Vec<Arg<'_>> = forks
        .flat_map(|fork| [Arg::Int(fork.timeline.number()), Arg::Int(fork.behind)])
        .collect();
    tx.insert_all(ENTER, 2, &args).await.map(|_| ())
}
