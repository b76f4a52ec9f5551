//! The journal's chain: which piece is the newest, and up to where the store knows everything.
//!
//! Several processes write pieces. Each piece names the one that was the newest when it was put
//! together, and becomes the newest itself only if that is still so: the loser of two writes its
//! states once more, behind the winner.
//!
//! Owns these columns of `turner`. Refuses to know what is in a piece.

use super::{
    error::Error,
    tx::{Arg, Tx},
};

/// A piece of the journal as the next one names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPiece {
    /// Its place in the chain, from 1.
    pub number: i64,
    /// Its name in the store.
    pub name: String,
    /// SHA-256 of its header.
    pub digest: String,
}

/// The newest piece; `None` before the first.
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

/// Makes `next` the newest piece, if `before` still is. Whether it was. From here to the end of the
/// unit no epoch begins.
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

/// Notes that everything up to this number of the audit log is in the store. How many shreds that
/// were not are now; they are counted here, because one that a restore would not find is none yet.
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

/// A database that was rebuilt goes on behind this piece. Everything up to `to` is in the store.
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
