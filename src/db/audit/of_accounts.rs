//! The log as those read it who may know of some accounts only.
//!
//! Owns which entries are about an account: those about its recordings, about conversations that
//! were recorded in it, about revocations that are limited to it, and those that name it.
//! INVARIANT: an entry that is about another account, too, is not theirs to read. What is about no
//! account, as a person everywhere or the policy, is nobody's whose sight is limited.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use const_format::formatcp;

use super::{StoredEntry, entries};
use crate::{
    db::{
        error::Error,
        table::TableRow as _,
        tx::{Arg, Tx, set},
    },
    evidence::Entry,
    model::{id::RevocationId, sid::AccountSid, subject::Conversation},
};

/// Entries that are looked at by one query, at least.
const LOOKED_AT: i64 = 500;

/// As [`after`](super::after), for those who may know of these accounts only.
pub async fn after_of(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountSid>,
    seq: i64,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    // What names neither a recording, an account, a conversation nor a revocation is nobody's here.
    const SQL: &str = formatcp!(
        "/* audit.after_of */
        SELECT {} FROM audit
        WHERE seq > $1 AND (recording_id IN (SELECT id FROM recordings WHERE account IN (SELECT key FROM json_each($3)))
          OR (recording_id IS NULL AND (details LIKE '%\"AC%' OR details LIKE '%\"conversation\"%' OR details LIKE '%\"revocation\"%')))
        ORDER BY seq LIMIT $2",
        StoredEntry::COLUMNS
    );
    let theirs = set(accounts);
    let at_once = limit.max(LOOKED_AT);
    let mut found = Vec::new();
    let mut after = seq;
    loop {
        let args = [Arg::Int(after), Arg::Int(at_once), Arg::Text(&theirs)];
        let page = entries(tx, SQL, &args).await?;
        let seen = page.len();
        after = page.last().map_or(after, |last| last.seq);
        found.extend(of(tx, accounts, page).await?);
        if i64::try_from(seen).is_ok_and(|seen| seen < at_once)
            || i64::try_from(found.len()).is_ok_and(|found| found >= limit)
        {
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            return Ok(found);
        }
    }
}

/// Those of these entries that are about nothing but these accounts.
async fn of(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountSid>,
    page: Vec<Entry>,
) -> Result<Vec<Entry>, Error> {
    let open = || page.iter().filter(|entry| entry.recording.is_none());
    let conversations: BTreeSet<Conversation> = open().filter_map(conversation).collect();
    let revocations: BTreeSet<RevocationId> = open().filter_map(revocation).collect();
    let in_accounts = recorded_in(tx, &conversations).await?;
    let is_theirs = |conversation: &Conversation| {
        in_accounts
            .get(conversation)
            .is_some_and(|of| of.is_subset(accounts))
    };
    let limited = limited_to(tx, accounts, &revocations, &is_theirs).await?;
    let about = |entry: &Entry| {
        if entry.recording.is_some() {
            return true;
        }
        let named = named(entry);
        named.is_subset(accounts)
            && (!named.is_empty()
                || conversation(entry).is_some_and(|theirs| is_theirs(&theirs))
                || revocation(entry).is_some_and(|theirs| limited.contains(&theirs)))
    };
    let about: Vec<bool> = page.iter().map(about).collect();
    let both = page.into_iter().zip(about);
    Ok(both
        .filter_map(|(entry, about)| about.then_some(entry))
        .collect())
}

fn text<T: std::str::FromStr>(entry: &Entry, name: &str) -> Option<T> {
    entry.details.get(name)?.as_str()?.parse().ok()
}

fn conversation(entry: &Entry) -> Option<Conversation> {
    text(entry, "conversation")
}

fn revocation(entry: &Entry) -> Option<RevocationId> {
    text(entry, "revocation")
}

/// Every account that an entry names.
fn named(entry: &Entry) -> BTreeSet<AccountSid> {
    let members = ["account", "accounts", "added", "removed"];
    let values = members.iter().filter_map(|name| entry.details.get(name));
    let texts = values.flat_map(|value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect::<Vec<_>>(),
    });
    texts.filter_map(|text| text.parse().ok()).collect()
}

/// The accounts of the recordings of these conversations.
async fn recorded_in(
    tx: &mut Tx,
    conversations: &BTreeSet<Conversation>,
) -> Result<BTreeMap<Conversation, BTreeSet<AccountSid>>, Error> {
    const SQL: &str = "/* audit.recorded_in */
        SELECT call_sid AS conversation, account FROM recordings WHERE call_sid IN (SELECT key FROM json_each($1))
        UNION SELECT conference_sid, account FROM recordings WHERE conference_sid IN (SELECT key FROM json_each($1))";
    const T: &str = "recordings";
    let mut found: BTreeMap<Conversation, BTreeSet<AccountSid>> = BTreeMap::new();
    if conversations.is_empty() {
        return Ok(found);
    }
    for row in tx.fetch_all(SQL, &[Arg::Text(&set(conversations))]).await? {
        found
            .entry(row.parse(T, "conversation", "account")?)
            .or_default()
            .insert(row.parse(T, "account", "account")?);
    }
    Ok(found)
}

/// Those of these revocations that reach nothing outside these accounts.
async fn limited_to(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountSid>,
    ids: &BTreeSet<RevocationId>,
    is_theirs: &(impl Fn(&Conversation) -> bool + Sync),
) -> Result<BTreeSet<RevocationId>, Error> {
    const SQL: &str = "/* audit.limited_to */
        SELECT id, reach, target, accounts,
          (SELECT account FROM recordings WHERE recordings.id = revocations.target) AS of_recording
        FROM revocations WHERE id IN (SELECT key FROM json_each($1))";
    const T: &str = "revocations";
    let mut found = BTreeSet::new();
    if ids.is_empty() {
        return Ok(found);
    }
    for row in tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await? {
        let limits: BTreeSet<AccountSid> = row.json(T, "accounts", "id")?;
        let target = row.text("target")?;
        let is_known =
            |account: Option<AccountSid>| account.is_some_and(|of| accounts.contains(&of));
        let is_limited = !limits.is_empty() && limits.is_subset(accounts);
        let is_of_target = match row.text("reach")?.as_str() {
            "account" => is_known(target.parse().ok()),
            "recording" => is_known(row.maybe_parse(T, "of_recording", "id")?),
            "conversation" => target.parse().is_ok_and(|target| is_theirs(&target)),
            _ => false,
        };
        if is_limited || is_of_target {
            found.insert(row.parse(T, "id", "id")?);
        }
    }
    Ok(found)
}
