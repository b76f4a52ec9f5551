//! The audit log for callers whose permission is limited to some accounts.
//!
//! Owns which entries are about an account: those about its recordings, about conversations that
//! were recorded in it, about revocations that are limited to it, and those that name it.
//! INVARIANT: an entry that is also about another account is not returned. An entry about no
//! account, such as one about a person in all accounts or about the policy, is never returned to a
//! limited caller.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    db::{
        error::Error,
        tx::{Arg, Tx, set},
    },
    evidence::Entry,
    model::{id::RevocationId, revocation::Target, sid::AccountSid, subject::Conversation},
};

/// Those of these entries that are about nothing but these accounts.
pub(super) async fn only(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountSid>,
    page: Vec<Entry>,
) -> Result<Vec<Entry>, Error> {
    let open = || page.iter().filter(|entry| entry.recording.is_none());
    let named_in_entries = open().filter_map(conversation);
    let revocations: BTreeSet<RevocationId> = open().filter_map(revocation).collect();
    let revocations = revoked(tx, &revocations).await?;
    // A revocation may be of a conversation that no entry of this page names.
    let targets = revocations.iter().filter_map(Revoked::conversation);
    let conversations: BTreeSet<Conversation> = named_in_entries.chain(targets).collect();
    let in_accounts = recorded_in(tx, &conversations).await?;
    let is_theirs = |conversation: &Conversation| {
        in_accounts
            .get(conversation)
            .is_some_and(|of| of.is_subset(accounts))
    };
    let limited: BTreeSet<RevocationId> = revocations
        .iter()
        .filter(|revoked| revoked.is_limited_to(accounts, is_theirs))
        .map(|revoked| revoked.id)
        .collect();
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

/// Returns every account that an entry names.
fn named(entry: &Entry) -> BTreeSet<AccountSid> {
    let members = ["account", "accounts", "added", "removed"];
    let values = members.iter().filter_map(|name| entry.details.get(name));
    let texts = values.flat_map(|value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect::<Vec<_>>(),
    });
    texts.filter_map(|text| text.parse().ok()).collect()
}

/// Returns the accounts in which these conversations were recorded.
async fn recorded_in(
    tx: &mut Tx,
    conversations: &BTreeSet<Conversation>,
) -> Result<BTreeMap<Conversation, BTreeSet<AccountSid>>, Error> {
    const SQL: &str = "/* audit.recorded_in */
        SELECT call_sid AS conversation, account FROM recordings WHERE call_sid IN (SELECT key FROM json_each($1))
        UNION SELECT conference_sid, account FROM recordings WHERE conference_sid IN (SELECT key FROM json_each($1))
        UNION SELECT thread, account FROM recordings WHERE thread IN (SELECT key FROM json_each($1))";
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

/// The scope of a revocation.
struct Revoked {
    id: RevocationId,
    reach: String,
    target: String,
    /// The accounts to which it is limited; empty means all.
    limits: BTreeSet<AccountSid>,
    /// The account of the target, if the target is a recording.
    of_recording: Option<AccountSid>,
}

impl Revoked {
    /// The target, if it is a conversation.
    fn conversation(&self) -> Option<Conversation> {
        (self.reach == "conversation")
            .then(|| Target::parse(&self.reach, &self.target))
            .flatten()
            .and_then(|target| target.conversation().cloned())
    }

    /// Returns whether the revocation reaches nothing outside these accounts.
    fn is_limited_to(
        &self,
        accounts: &BTreeSet<AccountSid>,
        is_theirs: impl Fn(&Conversation) -> bool,
    ) -> bool {
        let is_known =
            |account: Option<&AccountSid>| account.is_some_and(|of| accounts.contains(of));
        let is_of_target = match self.reach.as_str() {
            "account" => is_known(self.target.parse().ok().as_ref()),
            "recording" => is_known(self.of_recording.as_ref()),
            "conversation" => self.conversation().is_some_and(|target| is_theirs(&target)),
            _ => false,
        };
        is_of_target || !self.limits.is_empty() && self.limits.is_subset(accounts)
    }
}

/// Returns the scopes of these revocations.
async fn revoked(tx: &mut Tx, ids: &BTreeSet<RevocationId>) -> Result<Vec<Revoked>, Error> {
    const SQL: &str = "/* audit.revoked */
        SELECT id, reach, target, accounts,
          (SELECT account FROM recordings WHERE recordings.id = revocations.target) AS of_recording
        FROM revocations WHERE id IN (SELECT key FROM json_each($1))";
    const T: &str = "revocations";
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await?;
    rows.iter()
        .map(|row| {
            Ok(Revoked {
                id: row.parse(T, "id", "id")?,
                reach: row.text("reach")?,
                target: row.text("target")?,
                limits: row.json(T, "accounts", "id")?,
                of_recording: row.maybe_parse(T, "of_recording", "id")?,
            })
        })
        .collect()
}
