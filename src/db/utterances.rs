//! Pieces of real-time transcriptions of running calls, until they are filed as one transcript. The
//! text is sealed; the number of a piece is not.

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, BINDS, Tx},
};
use crate::model::{
    sid::{AccountSid, TranscriptSid},
    time::Timestamp,
};

table! {
    "utterances" {}

    #[derive(Debug)]
    pub(super) struct StoredUtterance {
        key {
            account: AccountSid = "account",
            transcription: TranscriptSid = "transcription_sid",
            track: String = "track",
            sequence: i64 = "sequence",
        }
        sealed: Vec<u8> = "sealed",
        told_at: Timestamp = "told_at",
    }
}

const COLUMNS: &str = StoredUtterance::COLUMNS;

/// A piece of a transcription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// `inbound_track`, `outbound_track`, or empty for a piece of no track.
    pub track: String,
    /// The source's sequence number.
    pub sequence: i64,
    /// The sealed text; empty if the event had none.
    pub sealed: Vec<u8>,
}

/// Inserts a piece; the same number of the same track is stored once. Returns whether it is new.
pub async fn insert(
    tx: &mut Tx,
    account: &AccountSid,
    transcription: &TranscriptSid,
    utterance: &Utterance,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = formatcp!(
        "/* utterances.insert */ {}
        ON CONFLICT (account, transcription_sid, track, sequence) DO NOTHING",
        StoredUtterance::INSERT
    );
    let row = StoredUtterance {
        account: account.clone(),
        transcription: transcription.clone(),
        track: utterance.track.clone(),
        sequence: utterance.sequence,
        sealed: utterance.sealed.clone(),
        told_at: now,
    };
    Ok(tx.insert_row(SQL, &row, &[]).await? == 1)
}

impl From<StoredUtterance> for WaitingUtterance {
    fn from(row: StoredUtterance) -> Self {
        let utterance = Utterance {
            track: row.track,
            sequence: row.sequence,
            sealed: row.sealed,
        };
        Self {
            account: row.account,
            transcription: row.transcription,
            utterance,
        }
    }
}

/// Returns the pieces of a transcription, by track and number.
pub async fn of(
    tx: &mut Tx,
    account: &AccountSid,
    transcription: &TranscriptSid,
) -> Result<Vec<Utterance>, Error> {
    const SQL: &str = formatcp!(
        "/* utterances.of */ SELECT {COLUMNS} FROM utterances
        WHERE account = $1 AND transcription_sid = $2 ORDER BY track, sequence"
    );
    let args = [
        Arg::Text(account.as_str()),
        Arg::Text(transcription.as_str()),
    ];
    let rows: Vec<StoredUtterance> = tx.fetch_rows(SQL, &args).await?;
    Ok(rows
        .into_iter()
        .map(|row| WaitingUtterance::from(row).utterance)
        .collect())
}

/// A piece with text, and its transcription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingUtterance {
    /// The account.
    pub account: AccountSid,
    /// The transcription.
    pub transcription: TranscriptSid,
    /// The piece.
    pub utterance: Utterance,
}

/// Returns the next pieces with text, after a given one or from the beginning, in order.
pub async fn chunk(
    tx: &mut Tx,
    after: Option<&WaitingUtterance>,
    limit: i64,
) -> Result<Vec<WaitingUtterance>, Error> {
    const SQL: &str = formatcp!(
        "/* utterances.chunk */ SELECT {COLUMNS} FROM utterances
        WHERE length(sealed) > 0 AND (account, transcription_sid, track, sequence) > ($1, $2, $3, $4)
        ORDER BY account, transcription_sid, track, sequence LIMIT $5"
    );
    let (account, transcription, track, sequence) = after.map_or(("", "", "", i64::MIN), |after| {
        (
            after.account.as_str(),
            after.transcription.as_str(),
            after.utterance.track.as_str(),
            after.utterance.sequence,
        )
    });
    let args = [
        Arg::Text(account),
        Arg::Text(transcription),
        Arg::Text(track),
        Arg::Int(sequence),
        Arg::Int(limit),
    ];
    let rows: Vec<StoredUtterance> = tx.fetch_rows(SQL, &args).await?;
    Ok(rows.into_iter().map(WaitingUtterance::from).collect())
}

/// Replaces the sealed text of these pieces, where they still exist.
pub async fn replace(tx: &mut Tx, rows: &[WaitingUtterance]) -> Result<(), Error> {
    const WIDTH: usize = 5;
    for rows in rows.chunks(BINDS / WIDTH) {
        let sql = format!(
            "/* utterances.replace */ UPDATE utterances SET sealed = new.column5 FROM (VALUES {}) AS new
             WHERE account = new.column1 AND transcription_sid = new.column2 AND track = new.column3 AND sequence = new.column4",
            tx.values(rows.len(), WIDTH)
        );
        let args: Vec<Arg<'_>> = rows
            .iter()
            .flat_map(|row| {
                let account = Arg::Text(row.account.as_str());
                let transcription = Arg::Text(row.transcription.as_str());
                let Utterance {
                    track,
                    sequence,
                    sealed,
                } = &row.utterance;
                [
                    account,
                    transcription,
                    Arg::Text(track),
                    Arg::Int(*sequence),
                    Arg::Bytes(sealed),
                ]
            })
            .collect();
        tx.execute(&sql, &args).await?;
    }
    Ok(())
}

/// Deletes the pieces of a transcription. Returns their number.
pub async fn remove(
    tx: &mut Tx,
    account: &AccountSid,
    transcription: &TranscriptSid,
) -> Result<u64, Error> {
    const SQL: &str = "/* utterances.remove */ DELETE FROM utterances WHERE account = $1 AND transcription_sid = $2";
    tx.execute(
        SQL,
        &[
            Arg::Text(account.as_str()),
            Arg::Text(transcription.as_str()),
        ],
    )
    .await
}

/// Deletes pieces that were received before `before` and never filed. Returns their number.
pub async fn sweep(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "/* utterances.sweep */ DELETE FROM utterances WHERE told_at < $1";
    tx.execute(SQL, &[Arg::Int(before.as_millis())]).await
}
