//! The outbox of the journal: marks on what has changed since it was last written to the journal in
//! the store.
//!
//! A mark is set in the same unit as the change, and removed only if nothing changed again while
//! the journal was written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set as document},
};
use crate::model::{
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// What can be marked.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum OutboxKind {
    /// A public key for signatures. Journaled before data that is signed with it.
    SigningKey,
    /// A recording with its artefacts, key, tombstone, receipt, holds and approvals, but without
    /// small ciphertext: that was written when it was new.
    Recording,
    /// The same, with its small ciphertext.
    Ciphertext,
    /// A bearer token.
    Token,
    /// A policy file.
    Policy,
    /// A conversation with its parties.
    Conversation,
    /// A statement of consent.
    Consent,
    /// A revocation.
    Revocation,
}

impl OutboxKind {
    /// Every kind.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    fn as_str(self) -> &'static str {
        self.into()
    }
}

table! {
    "outbox" {}

    #[derive(Debug)]
    pub(super) struct StoredMark {
        key {
            kind: String = "kind",
            id: String = "id",
        }
        mark: i64 = "mark",
        since: Timestamp = "since",
    }
}

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMark {
    /// The kind of what changed.
    pub kind: OutboxKind,
    /// Its id; the digest of a policy.
    pub id: String,
    mark: i64,
}

/// Sets marks on what changed. See [`super::Unit::to_journal`].
pub(super) async fn set<T: Display>(
    tx: &mut Tx,
    kind: OutboxKind,
    ids: impl IntoIterator<Item = T>,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* outbox.set */ {} SELECT $1, key, 1, $3 FROM json_each($2) AS changed WHERE true
        ON CONFLICT (kind, id) DO UPDATE SET mark = outbox.mark + 1",
        StoredMark::INSERT_INTO
    );
    tx.execute(
        SQL,
        &[
            Arg::Text(kind.as_str()),
            Arg::Text(&document(ids)),
            Arg::Int(now.as_millis()),
        ],
    )
    .await
    .map(|_| ())
}

/// Returns up to `limit` marks: signing keys first, so that no piece of the journal has a receipt
/// whose key is in a later one; the others in no order.
pub async fn next(tx: &mut Tx, limit: i64) -> Result<Vec<OutboxMark>, Error> {
    const SQL: &str = formatcp!(
        "/* outbox.next */ SELECT {} FROM outbox ORDER BY kind <> 'signing-key' LIMIT $1",
        StoredMark::COLUMNS
    );
    let rows: Vec<StoredMark> = tx.fetch_rows(SQL, &[Arg::Int(limit)]).await?;
    let mark = |row: StoredMark| {
        let kind = row
            .kind
            .parse()
            .map_err(|_| StoredMark::TABLE.inconsistent("kind", &row.id))?;
        Ok(OutboxMark {
            kind,
            id: row.id,
            mark: row.mark,
        })
    };
    rows.into_iter().map(mark).collect()
}

/// Removes marks, except those set again since they were read.
pub async fn clear(tx: &mut Tx, marks: &[OutboxMark]) -> Result<(), Error> {
    const SQL: &str = "/* outbox.clear */
        DELETE FROM outbox WHERE kind = $1
          AND (id, mark) IN (SELECT key, CAST(value->>'mark' AS BIGINT) FROM json_each($2) AS written)";
    for kind in OutboxKind::ALL.iter().copied() {
        // An object for each, because `->>` works on both databases; its member is text, see
        // `accept`.
        let of_kind = marks.iter().filter(|mark| mark.kind == kind);
        let of_kind: BTreeMap<&str, _> = of_kind
            .map(|mark| {
                (
                    mark.id.as_str(),
                    serde_json::json!({ "mark": mark.mark.to_string() }),
                )
            })
            .collect();
        if !of_kind.is_empty() {
            let written = serde_json::to_string(&of_kind).expect("texts have a JSON form");
            tx.execute(SQL, &[Arg::Text(kind.as_str()), Arg::Text(&written)])
                .await?;
        }
    }
    Ok(())
}

/// Returns the number up to which audit entries were written to the journal.
pub async fn journaled_to(tx: &mut Tx) -> Result<i64, Error> {
    tx.fetch_int(
        "/* outbox.journaled_to */ SELECT journaled_to FROM turner WHERE one = 1",
        &[],
    )
    .await
}

/// Records that audit entries up to `seq` are in the journal.
pub async fn note_journaled(tx: &mut Tx, seq: i64) -> Result<(), Error> {
    const SQL: &str = "/* outbox.note_journaled */ UPDATE turner SET journaled_to = $1 WHERE one = 1 AND journaled_to < $1";
    tx.execute(SQL, &[Arg::Int(seq)]).await.map(|_| ())
}

/// Returns those of these ids that have a mark of this kind.
pub async fn marked(
    tx: &mut Tx,
    kind: OutboxKind,
    ids: &[&str],
) -> Result<BTreeSet<String>, Error> {
    const SQL: &str = "/* outbox.marked */ SELECT id FROM outbox WHERE kind = $1 AND id IN (SELECT key FROM json_each($2))";
    let args = [Arg::Text(kind.as_str()), Arg::Text(&document(ids))];
    let rows = tx.fetch_all(SQL, &args).await?;
    rows.iter().map(|row| row.text("id")).collect()
}

/// Returns the number of marks, and the time of the oldest.
pub async fn waiting(tx: &mut Tx) -> Result<(i64, Option<Timestamp>), Error> {
    const SQL: &str = "/* outbox.waiting */ SELECT COUNT(*) AS n, MIN(since) AS oldest FROM outbox";
    let row = tx.fetch_first(SQL, &[]).await?.ok_or_else(Error::no_row)?;
    Ok((row.int("n")?, row.maybe_time("oldest")?))
}

#[cfg(test)]
mod tests {
    use super::OutboxKind;

    #[test]
    fn each_kind_has_its_word() {
        let words = "signing-key recording ciphertext token policy conversation consent revocation";
        crate::samples::words_are::<OutboxKind>(words);
    }
}
