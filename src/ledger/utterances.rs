//! What was said in running calls, piece by piece, until it is one transcript. Every word is sealed; the number of a piece is not.

use super::{
    Error,
    tx::{Arg, Tx},
};
use crate::model::{
    sid::{AccountSid, TranscriptSid},
    time::Timestamp,
};

/// A piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// `inbound_track`, `outbound_track`, or nothing for what belongs to no track.
    pub track: String,
    /// The source's number of it.
    pub sequence: i64,
    /// What was said, sealed; empty if the event held no words.
    pub sealed: Vec<u8>,
}

/// Keeps a piece; the same number of the same track is kept once. Whether it is new.
pub async fn insert(
    tx: &mut Tx,
    account: &AccountSid,
    transcription: &TranscriptSid,
    utterance: &Utterance,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "/* utterances.insert */
        INSERT INTO utterances (account, transcription_sid, track, sequence, sealed, told_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (account, transcription_sid, track, sequence) DO NOTHING";
    let args = [
        Arg::Text(account.as_str()),
        Arg::Text(transcription.as_str()),
        Arg::Text(&utterance.track),
        Arg::Int(utterance.sequence),
        Arg::Bytes(&utterance.sealed),
        Arg::Int(now.as_millis()),
    ];
    Ok(tx.execute(SQL, &args).await? == 1)
}

/// The pieces of a transcription, by track and number.
pub async fn of(tx: &mut Tx, account: &AccountSid, transcription: &TranscriptSid) -> Result<Vec<Utterance>, Error> {
    const SQL: &str = "/* utterances.of */
        SELECT track, sequence, sealed FROM utterances WHERE account = $1 AND transcription_sid = $2 ORDER BY track, sequence";
    let rows = tx.fetch_all(SQL, &[Arg::Text(account.as_str()), Arg::Text(transcription.as_str())]).await?;
    rows.iter()
        .map(|row| Ok(Utterance { track: row.text("track")?, sequence: row.int("sequence")?, sealed: row.bytes("sealed")? }))
        .collect()
}

/// Forgets the pieces of a transcription. How many there were.
pub async fn remove(tx: &mut Tx, account: &AccountSid, transcription: &TranscriptSid) -> Result<u64, Error> {
    const SQL: &str = "/* utterances.remove */ DELETE FROM utterances WHERE account = $1 AND transcription_sid = $2";
    tx.execute(SQL, &[Arg::Text(account.as_str()), Arg::Text(transcription.as_str())]).await
}

/// Forgets pieces that came before then and were never filed. How many.
pub async fn sweep(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "/* utterances.sweep */ DELETE FROM utterances WHERE told_at < $1";
    tx.execute(SQL, &[Arg::Int(before.as_millis())]).await
}
