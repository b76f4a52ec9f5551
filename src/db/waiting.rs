//! Pending details: sealed details of parties that were told before a recording of their
//! conversation was sealed.
//!
//! Owns these columns of `parties`. INVARIANT: pending details are sealed, and are deleted when a
//! recording has taken them over, when one is shredded, or when they have waited for too long.

use std::collections::BTreeMap;

use const_format::formatcp;

use super::{
    error::Error,
    parties::StoredParty,
    row::Row,
    table::TableRow as _,
    tx::{Arg, BINDS, Tx, set},
};
use crate::model::{
    id::RecordingId,
    name::LegName,
    subject::{Conversation, PartyScope},
    time::Timestamp,
};

/// The place of pending details: one naming of a party.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingPlace {
    /// The conversation.
    pub conversation: Conversation,
    /// For whose recordings the naming counts.
    pub scope: PartyScope,
    /// The party's leg.
    pub leg: LegName,
}

/// A place with pending details.
pub type PendingItem = (PendingPlace, Vec<u8>);

fn item(row: StoredParty) -> PendingItem {
    let place = PendingPlace {
        conversation: row.conversation,
        scope: row.scope,
        leg: row.leg,
    };
    (place, row.sealed)
}

/// Returns the pending details in each of these conversations, as they count in a scope.
pub async fn find(
    tx: &mut Tx,
    scope: &PartyScope,
    conversations: &[Conversation],
) -> Result<BTreeMap<PendingPlace, Vec<u8>>, Error> {
    const SQL: &str = formatcp!(
        "/* waiting.find */ SELECT {} FROM parties
        WHERE conversation IN (SELECT key FROM json_each($1)) AND account IN ('*', $2) AND length(sealed) > 0",
        StoredParty::COLUMNS
    );
    let conversations = set(conversations);
    let args = [Arg::Text(&conversations), Arg::Text(scope.as_str())];
    let rows: Vec<StoredParty> = tx.fetch_rows(SQL, &args).await?;
    Ok(rows.into_iter().map(item).collect())
}

/// Stores pending details for a naming, or clears them if `sealed` is empty.
///
/// # Errors
/// [`Error::Stale`] if nobody is named there.
pub async fn put(tx: &mut Tx, place: &PendingPlace, sealed: &[u8]) -> Result<(), Error> {
    const SQL: &str = "/* waiting.put */
        UPDATE parties SET sealed = $4 WHERE conversation = $1 AND account = $2 AND leg = $3";
    let args = [
        Arg::Text(place.conversation.as_str()),
        Arg::Text(place.scope.as_str()),
        Arg::Text(place.leg.as_str()),
        Arg::Bytes(sealed),
    ];
    tx.execute_one(SQL, &args, "the conversation has no party at this place")
        .await
}

/// Returns the next places with pending details, after a given one or from the beginning, in order.
pub async fn chunk(
    tx: &mut Tx,
    after: Option<&PendingPlace>,
    limit: i64,
) -> Result<Vec<PendingItem>, Error> {
    const SQL: &str = formatcp!(
        "/* waiting.chunk */ SELECT {} FROM parties
        WHERE length(sealed) > 0 AND (conversation, account, leg) > ($1, $2, $3)
        ORDER BY conversation, account, leg LIMIT $4",
        StoredParty::COLUMNS
    );
    let after = after.map_or(["", "", ""], |after| {
        [
            after.conversation.as_str(),
            after.scope.as_str(),
            after.leg.as_str(),
        ]
    });
    let [conversation, scope, leg] = after.map(Arg::Text);
    let args = [conversation, scope, leg, Arg::Int(limit)];
    let rows: Vec<StoredParty> = tx.fetch_rows(SQL, &args).await?;
    Ok(rows.into_iter().map(item).collect())
}

/// Replaces the pending details of these legs, where there are any.
pub async fn replace(tx: &mut Tx, rows: &[PendingItem]) -> Result<(), Error> {
    const WIDTH: usize = 4;
    for rows in rows.chunks(BINDS / WIDTH) {
        let sql = format!(
            "/* waiting.replace */ UPDATE parties SET sealed = new.column4 FROM (VALUES {}) AS new
             WHERE parties.conversation = new.column1 AND parties.account = new.column2 AND parties.leg = new.column3 AND length(parties.sealed) > 0",
            tx.values(rows.len(), WIDTH)
        );
        let args: Vec<Arg<'_>> = rows
            .iter()
            .flat_map(|(place, sealed)| {
                [
                    Arg::Text(place.conversation.as_str()),
                    Arg::Text(place.scope.as_str()),
                    Arg::Text(place.leg.as_str()),
                    Arg::Bytes(sealed),
                ]
            })
            .collect();
        tx.execute(&sql, &args).await?;
    }
    Ok(())
}

/// Deletes the pending details of one leg, as they count in a scope. Returns whether there were any.
pub async fn clear_leg(
    tx: &mut Tx,
    scope: &PartyScope,
    conversation: &Conversation,
    leg: &LegName,
) -> Result<bool, Error> {
    const SQL: &str = "/* waiting.clear_leg */
        UPDATE parties SET sealed = $4 WHERE conversation = $1 AND account IN ('*', $2) AND leg = $3 AND length(sealed) > 0";
    let args = [
        Arg::Text(conversation.as_str()),
        Arg::Text(scope.as_str()),
        Arg::Text(leg.as_str()),
        Arg::Bytes(&[]),
    ];
    Ok(tx.execute(SQL, &args).await? > 0)
}

/// Deletes the pending details in these conversations, as they count in a scope. Returns the
/// conversations that had any.
pub async fn clear(
    tx: &mut Tx,
    scope: &PartyScope,
    conversations: &[Conversation],
) -> Result<Vec<Conversation>, Error> {
    const SQL: &str = "/* waiting.clear */
        UPDATE parties SET sealed = $3
        WHERE conversation IN (SELECT key FROM json_each($1)) AND account IN ('*', $2) AND length(sealed) > 0 RETURNING conversation";
    let conversations = set(conversations);
    let args = [
        Arg::Text(&conversations),
        Arg::Text(scope.as_str()),
        Arg::Bytes(&[]),
    ];
    distinct(&tx.fetch_all(SQL, &args).await?)
}

/// Deletes the pending details for these recordings, in their conversations. Returns the
/// conversations that had any.
pub async fn clear_of(tx: &mut Tx, ids: &[RecordingId]) -> Result<Vec<Conversation>, Error> {
    const SQL: &str = "/* waiting.clear_of */
        UPDATE parties SET sealed = $2
        WHERE conversation IN (
            SELECT call_sid FROM recordings WHERE id IN (SELECT key FROM json_each($1))
            UNION SELECT conference_sid FROM recordings WHERE id IN (SELECT key FROM json_each($1))
            UNION SELECT thread FROM recordings WHERE id IN (SELECT key FROM json_each($1)))
          AND (account = '*' OR account IN (SELECT account FROM recordings WHERE id IN (SELECT key FROM json_each($1))))
          AND length(sealed) > 0 RETURNING conversation";
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    distinct(
        &tx.fetch_all(SQL, &[Arg::Text(&set(ids)), Arg::Bytes(&[])])
            .await?,
    )
}

/// Deletes the pending details of parties named before `before`. Returns the conversations.
pub async fn clear_older(tx: &mut Tx, before: Timestamp) -> Result<Vec<Conversation>, Error> {
    const SQL: &str = "/* waiting.clear_older */
        UPDATE parties SET sealed = $2 WHERE named_at < $1 AND length(sealed) > 0 RETURNING conversation";
    distinct(
        &tx.fetch_all(SQL, &[Arg::Int(before.as_millis()), Arg::Bytes(&[])])
            .await?,
    )
}

fn distinct(rows: &[Row]) -> Result<Vec<Conversation>, Error> {
    let mut all: Vec<Conversation> = rows
        .iter()
        .map(|row| row.parse("parties", "conversation", "conversation"))
        .collect::<Result<_, _>>()?;
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
