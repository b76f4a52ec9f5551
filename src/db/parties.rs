//! The parties of conversations.
//!
//! INVARIANTS
//! - A naming counts for the recordings of the account that told of it, or of every account if who
//!   named may see all of them ([`PartyScope`]). The same id of a conversation, told by another
//!   account, is another conversation.
//! - A known party stays the same person; only [`correct`] replaces one.
//! - A caller without the `revoke` action cannot extend an existing revocation: each leg has the
//!   accounts for which its naming was [vouched](Vouched).

mod naming;
mod vouched;

use std::collections::BTreeMap;

use const_format::formatcp;

pub use self::{
    naming::{Naming, name},
    vouched::Vouched,
};

use super::{
    error::Error,
    name_locks::{self, LockName},
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::SubjectId,
    name::LegName,
    sid::AccountSid,
    subject::{Conversation, Party, PartyScope, Presence},
    time::Timestamp,
};

table! {
    "parties" { subject: Some("conversation") }

    #[derive(Debug)]
    pub(super) struct StoredParty {
        key {
            pub(super) conversation: Conversation = "conversation",
            pub(super) scope: PartyScope = "account",
            pub(super) leg: LegName = "leg",
        }
        subject: Option<SubjectId> = "subject",
        named_at: Timestamp = "named_at",
        vouched_for: String = "vouched_for",
        channel: Option<u8> = "channel",
        pub(super) sealed: Vec<u8> = "sealed",
        joined_at: Option<Timestamp> = "joined_at",
        left_at: Option<Timestamp> = "left_at",
    }
}

/// The condition under which the naming of a party counts for a recording. As
/// [`PartyScope::is_for`].
macro_rules! counts_for {
    () => {
        "parties.account IN ('*', recordings.account)"
    };
}
pub(in crate::db) use counts_for;

/// The condition under which a recording is of a party: the naming counts for it, and they wrote it, or were there when it was
/// made. As [`Recording::is_of`](crate::model::recording::Recording::is_of).
macro_rules! is_of_party {
    () => {
        "(parties.account IN ('*', recordings.account) AND (recordings.author = parties.leg OR (recordings.kind <> 'video-track' AND (recordings.shows IS NULL OR recordings.shows LIKE '%\"' || parties.leg || '\"%')
              AND (parties.joined_at IS NULL OR parties.joined_at <= COALESCE(recordings.started_at, recordings.collected_at))
              AND (parties.left_at IS NULL OR parties.left_at >= COALESCE(recordings.started_at, recordings.collected_at)))))"
    };
}
pub(in crate::db) use is_of_party;

/// Returns whether a subject is a party of any conversation.
///
/// # Errors
/// Any database error.
pub async fn is_anybody(tx: &mut Tx, subject: SubjectId) -> Result<bool, Error> {
    const SQL: &str =
        "/* parties.is_anybody */ SELECT conversation FROM parties WHERE subject = $1 LIMIT 1";
    Ok(!tx
        .fetch_all(SQL, &[Arg::Text(&subject.to_string())])
        .await?
        .is_empty())
}

/// Locks a conversation and the people who are to be named in it for the rest of the unit, before
/// any row is locked.
pub async fn lock(
    tx: &mut Tx,
    conversation: &Conversation,
    subjects: impl IntoIterator<Item = SubjectId>,
) -> Result<(), Error> {
    let people = subjects.into_iter().map(LockName::Subject);
    let conversation = LockName::Conversation(conversation.clone());
    name_locks::take_alone(tx, &people.chain([conversation]).collect()).await
}

/// Locks accounts and conversations, with the parties of the conversations, for the rest of a unit
/// that enters content of theirs, before any row is locked: what it sees of them is final.
pub async fn share(
    tx: &mut Tx,
    accounts: impl IntoIterator<Item = &AccountSid>,
    conversations: &[Conversation],
) -> Result<(), Error> {
    if !tx.is_postgres() {
        return Ok(());
    }
    let accounts = accounts.into_iter().cloned().map(LockName::Account);
    let names = conversations.iter().cloned().map(LockName::Conversation);
    name_locks::share(tx, &names.chain(accounts).collect()).await?;
    // Nobody else is named in these conversations any more.
    let named = namings(tx, conversations).await?;
    let people = named.values().flatten();
    let people = people.filter_map(|named| named.party.subject);
    name_locks::share(tx, &people.map(LockName::Subject).collect()).await
}

/// Returns the time at which a party counts as named: now, or, unless the naming is vouched for all
/// accounts, after every existing revocation of the person, even if the clocks of two processes
/// differ.
async fn named_at(
    tx: &mut Tx,
    subject: Option<SubjectId>,
    vouched: &Vouched,
    now: Timestamp,
) -> Result<Timestamp, Error> {
    const SQL: &str = "/* parties.revoked_last */ SELECT COALESCE(MAX(revoked_at), 0) FROM revocations WHERE target = $1";
    let Some(subject) = subject.filter(|_| vouched.as_str() != Vouched::FOR_ALL) else {
        return Ok(now);
    };
    let last = tx
        .fetch_int(SQL, &[Arg::Text(&subject.to_string())])
        .await?;
    Ok(now.max(Timestamp::from_millis(last.saturating_add(1))))
}

/// Returns the latest time at which a person counts as named. The caller holds the person's lock,
/// so no naming that is not seen here commits earlier.
pub(super) async fn named_last(tx: &mut Tx, subject: SubjectId) -> Result<Timestamp, Error> {
    const SQL: &str = "/* parties.named_last */ SELECT COALESCE(MAX(named_at), 0) FROM parties WHERE subject = $1";
    let last = tx
        .fetch_int(SQL, &[Arg::Text(&subject.to_string())])
        .await?;
    Ok(Timestamp::from_millis(last))
}

/// Replaces the party of a leg, by another person or by an unknown one, as far as this scope goes: in
/// that of one account, not a party who was named for every account.
///
/// # Errors
/// [`Error::Stale`] if nobody was named there in this scope.
pub async fn correct(
    tx: &mut Tx,
    (conversation, leg): (&Conversation, &LegName),
    scopes: &[PartyScope],
    subject: Option<SubjectId>,
    vouched: &Vouched,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* parties.correct */
        UPDATE parties SET subject = $4, named_at = $5, vouched_for = $6
        WHERE conversation = $1 AND leg = $2 AND account IN (SELECT key FROM json_each($3))";
    lock(tx, conversation, subject).await?;
    let named_at = named_at(tx, subject, vouched, now).await?;
    let subject = subject.map(|subject| subject.to_string());
    let scopes = set(scopes);
    let args = [
        Arg::Text(conversation.as_str()),
        Arg::Text(leg.as_str()),
        Arg::Text(&scopes),
        Arg::MaybeText(subject.as_deref()),
        Arg::Int(named_at.as_millis()),
        Arg::Text(vouched.as_str()),
    ];
    match tx.execute(SQL, &args).await? {
        0 => Err(Error::Stale("the conversation has no party at this place")),
        _ => Ok(()),
    }
}

/// One naming of a party.
#[derive(Clone, Debug)]
pub(super) struct PartyNaming {
    /// For whose recordings it counts.
    pub(super) scope: PartyScope,
    /// The party.
    pub(super) party: Party,
    /// The accounts for which it is vouched.
    pub(super) vouched: Vouched,
}

/// Returns the parties of each of these conversations that has any, by leg: as they count for the
/// recordings of an account, or as somebody who may see every account knows them.
pub async fn of(
    tx: &mut Tx,
    scope: &PartyScope,
    conversations: &[Conversation],
) -> Result<BTreeMap<Conversation, Vec<Party>>, Error> {
    let mut all = BTreeMap::new();
    for (conversation, mut named) in namings(tx, conversations).await? {
        named.retain(|named| named.scope.meets(scope));
        let parties = together(named);
        if !parties.is_empty() {
            all.insert(conversation, parties);
        }
    }
    Ok(all)
}

/// Returns every naming in each of these conversations that has any.
pub(super) async fn namings(
    tx: &mut Tx,
    conversations: &[Conversation],
) -> Result<BTreeMap<Conversation, Vec<PartyNaming>>, Error> {
    const SQL: &str = formatcp!(
        "/* parties.of */ SELECT {} FROM parties
        WHERE conversation IN (SELECT key FROM json_each($1)) ORDER BY conversation, leg, account",
        StoredParty::COLUMNS
    );
    let mut all: BTreeMap<Conversation, Vec<PartyNaming>> = BTreeMap::new();
    let rows: Vec<StoredParty> = tx
        .fetch_rows(SQL, &[Arg::Text(&set(conversations))])
        .await?;
    for row in rows {
        if !matches!(row.channel, None | Some(1 | 2)) {
            return Err(StoredParty::TABLE.inconsistent("channel", row.conversation));
        }
        let party = Party {
            leg: row.leg,
            subject: row.subject,
            channel: row.channel,
            presence: Presence {
                joined_at: row.joined_at,
                left_at: row.left_at,
            },
        };
        all.entry(row.conversation).or_default().push(PartyNaming {
            scope: row.scope,
            party,
            vouched: Vouched::kept(row.vouched_for),
        });
    }
    Ok(all)
}

/// Returns the parties of namings that count together, by leg. Whoever is known at a leg is there
/// instead of somebody unknown. Two who are known at one leg are both parties: nobody is dropped.
pub(super) fn together(named: impl IntoIterator<Item = PartyNaming>) -> Vec<Party> {
    let mut legs: BTreeMap<LegName, Vec<Party>> = BTreeMap::new();
    for PartyNaming { party, .. } in named {
        let there = legs.entry(party.leg.clone()).or_default();
        let same = there.iter_mut().find(|known| {
            known.subject == party.subject || known.subject.is_none() || party.subject.is_none()
        });
        match same {
            Some(known) => {
                known.subject = known.subject.or(party.subject);
                known.channel = known.channel.or(party.channel);
                known.presence = known.presence.with(party.presence);
            }
            None => there.push(party),
        }
    }
    legs.into_values().flatten().collect()
}

/// Returns a page of the conversations in which a person took part, with the leg in each, ordered
/// by both, after the given one.
pub async fn of_subject(
    tx: &mut Tx,
    subject: SubjectId,
    after: Option<&(Conversation, LegName)>,
    limit: i64,
) -> Result<Vec<(Conversation, LegName)>, Error> {
    const SQL: &str = "/* parties.of_subject */
        SELECT DISTINCT conversation, leg FROM parties WHERE subject = $1 AND (conversation, leg) > ($2, $3)
        ORDER BY conversation, leg LIMIT $4";
    const T: &str = "parties";
    let (conversation, leg) = after.map_or(("", ""), |(conversation, leg)| {
        (conversation.as_str(), leg.as_str())
    });
    let args = [
        Arg::Text(&subject.to_string()),
        Arg::Text(conversation),
        Arg::Text(leg),
        Arg::Int(limit),
    ];
    let rows = tx.fetch_all(SQL, &args).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.parse(T, "conversation", "conversation")?,
                row.parse(T, "leg", "conversation")?,
            ))
        })
        .collect()
}
