//! The chain of journal pieces: which piece is the newest, and up to which entry the store is
//! complete.
//!
//! Several processes write pieces. Each piece names the piece that was the newest when it was
//! built, and becomes the newest itself only if that has not changed. Otherwise the process writes
//! its states again, in a new piece after the winner.
//!
//! Owns these columns of `turner`. Refuses to know the contents of a piece.

use super::{
    error::Error,
    tx::{Arg, Tx},
};

/// A reference to a piece of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPiece {
    /// Its position in the chain, from 1.
    pub number: i64,
    /// Its name in the store.
    pub name: String,
    /// SHA-256 of its header.
    pub digest: String,
}

/// Returns the newest piece; `None` before the first.
pub async fn newest(tx: &mut Tx) -> Result<Option<JournalPiece>, Error> {
    const SQL: &str =
        "/* chain.newest */ SELECT chained, chain_name, chain_digest FROM turner WHERE one = 1";
    let Some(row) = tx.fetch_first(SQL, &[]).await? else {
        return Ok(None);
    };
    let number = row.int("chained")?;
    let named = row
        .maybe_text("chain_name")?
        .zip(row.maybe_text("chain_digest")?);
    Ok(named.map(|(name, digest)| JournalPiece {
        number,
        name,
        digest,
    }))
}

/// Makes `next` the newest piece if `before` still is, and returns whether it was. No epoch begins
/// from here to the end of the unit.
pub async fn extend(
    tx: &mut Tx,
    before: Option<&JournalPiece>,
    next: &JournalPiece,
) -> Result<bool, Error> {
    const SQL: &str =
        "/* chain.extend */ UPDATE turner SET chained = $1, chain_name = $2, chain_digest = $3
        WHERE one = 1 AND chained = $4 AND COALESCE(chain_digest, '') = $5";
    let (number, digest) = before.map_or((0, ""), |before| (before.number, before.digest.as_str()));
    let args = [
        Arg::Int(next.number),
        Arg::Text(&next.name),
        Arg::Text(&next.digest),
        Arg::Int(number),
        Arg::Text(digest),
    ];
    Ok(tx.execute(SQL, &args).await? == 1)
}

/// Records that everything up to this number of the audit log is in the store. Returns the number
/// of shreds that became durable by this. They are counted here, because a shred that a restore
/// would not find does not count yet.
pub async fn note_durable(tx: &mut Tx, seq: i64) -> Result<u64, Error> {
    const BEFORE: &str = "/* chain.durable_before */ UPDATE turner SET durable_to = durable_to WHERE one = 1 RETURNING durable_to";
    const NOTE: &str = "/* chain.note_durable */ UPDATE turner SET durable_to = $1 WHERE one = 1 AND durable_to < $1";
    const FENCES: &str = "/* chain.tombstones_between */ SELECT COUNT(DISTINCT recording_id) FROM tombstones WHERE seq > $1 AND seq <= $2";
    let before = tx.fetch_int(BEFORE, &[]).await?;
    tx.execute(NOTE, &[Arg::Int(seq)]).await?;
    let shreds = tx
        .fetch_int(FENCES, &[Arg::Int(before), Arg::Int(seq)])
        .await?
        .unsigned_abs();
    tx.count("recvault_shreds_total", shreds);
    Ok(shreds)
}

/// Continues the chain of a rebuilt database after this piece. Everything up to `to` is in the
/// store.
pub async fn rebuild(tx: &mut Tx, newest: Option<&JournalPiece>, to: i64) -> Result<(), Error> {
    const SQL: &str =
        "/* chain.rebuild */ UPDATE turner SET chained = $1, chain_name = $2, chain_digest = $3, durable_to = $4
        WHERE one = 1";
    let number = newest.map_or(0, |newest| newest.number);
    let (name, digest) = newest
        .map(|newest| (newest.name.as_str(), newest.digest.as_str()))
        .unzip();
    tx.execute(
        SQL,
        &[
            Arg::Int(number),
            Arg::MaybeText(name),
            Arg::MaybeText(digest),
            Arg::Int(to),
        ],
    )
    .await
    .map(|_| ())
}
