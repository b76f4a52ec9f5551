//! The parties of conversations.
//!
//! INVARIANTS
//! - A known party stays the same person; only [`correct`] replaces one.
//! - A caller without the `revoke` action cannot extend an existing revocation: each leg has the
//!   accounts for which its naming was [vouched](Vouched).

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::{
    error::Error,
    name_locks::{self, LockName},
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::{
    model::{
        id::SubjectId,
        name::LegName,
        sid::AccountSid,
        subject::{Conversation, Party, Presence},
        time::Timestamp,
    },
    policy::{Permit, action},
};

table! {
    "parties" { subject: Some("conversation") }

    #[derive(Debug)]
    pub(super) struct StoredParty {
        key {
            pub(super) conversation: Conversation = "conversation",
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

/// The condition under which a recording is of a party: they wrote it, or were there when it was
/// made. As [`Recording::is_of`](crate::model::recording::Recording::is_of).
macro_rules! is_of_party {
    () => {
        "(recordings.author = parties.leg OR (recordings.kind <> 'video-track' AND (parties.joined_at IS NULL OR parties.joined_at <= COALESCE(recordings.started_at, recordings.collected_at))
              AND (parties.left_at IS NULL OR parties.left_at >= COALESCE(recordings.started_at, recordings.collected_at))))"
    };
}
pub(in crate::db) use is_of_party;

/// The accounts for which a naming extends earlier revocations. Derived from a `revoke` permit;
/// empty without one, and then the recordings that the naming would release wait for a caller with
/// the permit. A later revocation reaches every leg that is named by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched(String);

impl Vouched {
    /// Stands for all accounts.
    const FOR_ALL: &str = "*";

    /// Wraps the stored text.
    pub(super) fn kept(text: String) -> Self {
        Self(text)
    }

    /// The stored text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it includes this account.
    pub fn is_for(&self, account: &AccountSid) -> bool {
        self.0 == Self::FOR_ALL || self.0.contains(account.as_str())
    }

    /// The accounts of a `revoke` permit; none without one.
    pub fn by(revoke: Option<&Permit<action::Revoke>>) -> Self {
        revoke.map_or_else(
            || Self(String::new()),
            |permit| Self::of_accounts(permit.accounts()),
        )
    }

    /// The accounts that a revocation is limited to; an empty set means all.
    pub fn of_accounts(accounts: &BTreeSet<AccountSid>) -> Self {
        if accounts.is_empty() {
            return Self(Self::FOR_ALL.into());
        }
        let accounts: Vec<&str> = accounts.iter().map(AccountSid::as_str).collect();
        Self(accounts.join(" "))
    }

    /// Returns the stored text after both are combined; `None` if `before` includes all of it
    /// already.
    fn beyond(&self, before: &str) -> Option<String> {
        let is_known = |account: &str| before == Self::FOR_ALL || before.contains(account);
        let new: Vec<&str> = self.0.split(' ').filter(|new| !is_known(new)).collect();
        match (new.is_empty(), self.0 == Self::FOR_ALL) {
            (true, _) => None,
            (false, true) => Some(self.0.clone()),
            (false, false) => Some(format!("{before} {}", new.join(" ")).trim().to_owned()),
        }
    }
}

/// The result of naming parties of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The names were accepted. The count is of the legs that changed: new legs, legs that became
    /// known, got a channel or a presence, or are vouched for more accounts.
    Done(usize),
    /// Nothing was written: these legs have other parties.
    Taken(Vec<LegName>),
}

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

/// Names parties: inserts new legs, identifies parties that were unknown, and adds channels. Naming
/// the same parties again changes nothing, and a known party does not become unknown.
///
/// # Errors
/// [`Error::Conflict`] if another writer named the same leg meanwhile. A retry of the unit finds
/// it.
pub async fn name(
    tx: &mut Tx,
    conversation: &Conversation,
    parties: &[Party],
    vouched: &Vouched,
    now: Timestamp,
) -> Result<Naming, Error> {
    const SQL: &str = formatcp!(
        "/* parties.name */ {}
        ON CONFLICT (conversation, leg) DO UPDATE
        SET subject = excluded.subject, named_at = excluded.named_at, channel = COALESCE(parties.channel, excluded.channel),
          vouched_for = excluded.vouched_for, joined_at = excluded.joined_at, left_at = excluded.left_at
        WHERE parties.subject IS NULL AND excluded.subject IS NOT NULL",
        StoredParty::INSERT
    );
    const CHANNEL: &str = "/* parties.note_channel */
        UPDATE parties SET channel = $3 WHERE conversation = $1 AND leg = $2 AND channel IS NULL";
    const PRESENCE: &str = "/* parties.note_presence */
        UPDATE parties SET joined_at = $3, left_at = $4 WHERE conversation = $1 AND leg = $2";
    let subjects = parties.iter().filter_map(|party| party.subject);
    lock(tx, conversation, subjects).await?;
    let known = of(tx, std::slice::from_ref(conversation))
        .await?
        .remove(conversation)
        .unwrap_or_default();
    let mut known: BTreeMap<LegName, Party> = known
        .into_iter()
        .map(|party| (party.leg.clone(), party))
        .collect();
    let mut fresh = BTreeMap::new();
    let mut heard = BTreeMap::new();
    let mut present = BTreeMap::new();
    let mut taken = Vec::new();
    for party in parties {
        let before = known.get(&party.leg).cloned();
        let presence = before.as_ref().map_or(party.presence, |before| {
            before.presence.with(party.presence)
        });
        match (before.as_ref().map(|before| before.subject), party.subject) {
            (None, _) | (Some(None), Some(_)) => {
                let channel = before.and_then(|before| before.channel).or(party.channel);
                known.insert(
                    party.leg.clone(),
                    Party {
                        channel,
                        presence,
                        ..party.clone()
                    },
                );
                let party = party.clone();
                fresh.insert(party.leg.clone(), Party { presence, ..party });
            }
            (Some(Some(theirs)), Some(ours)) if theirs != ours => taken.push(party.leg.clone()),
            (Some(_), _) => {
                if let (Some(channel), Some(None)) =
                    (party.channel, before.as_ref().map(|before| before.channel))
                {
                    heard.insert(party.leg.clone(), channel);
                }
                if before.is_some_and(|before| before.presence != presence) {
                    present.insert(party.leg.clone(), presence);
                }
            }
        }
    }
    if !taken.is_empty() {
        return Ok(Naming::Taken(taken));
    }
    heard.retain(|leg, _| !fresh.contains_key(leg));
    present.retain(|leg, _| !fresh.contains_key(leg));
    for (leg, party) in &fresh {
        let row = StoredParty {
            conversation: conversation.clone(),
            leg: leg.clone(),
            subject: party.subject,
            named_at: named_at(tx, party.subject, vouched, now).await?,
            vouched_for: vouched.0.clone(),
            channel: party.channel,
            sealed: Vec::new(),
            joined_at: party.presence.joined_at,
            left_at: party.presence.left_at,
        };
        if tx.insert_row(SQL, &row, &[]).await? != 1 {
            return Err(Error::Conflict);
        }
    }
    for (leg, channel) in &heard {
        tx.execute(
            CHANNEL,
            &[
                Arg::Text(conversation.as_str()),
                Arg::Text(leg.as_str()),
                Arg::Int((*channel).into()),
            ],
        )
        .await?;
    }
    for (leg, presence) in &present {
        let [joined, left] = [presence.joined_at, presence.left_at]
            .map(|at| Arg::MaybeInt(at.map(Timestamp::as_millis)));
        let place = [Arg::Text(conversation.as_str()), Arg::Text(leg.as_str())];
        tx.execute(PRESENCE, &[place.as_slice(), &[joined, left]].concat())
            .await?;
    }
    let named = parties
        .iter()
        .filter(|party| !fresh.contains_key(&party.leg));
    // A naming without a subject does not confirm who the known party is.
    let is_unknown = |leg| known.get(leg).is_some_and(|place| place.subject.is_none());
    let mut confirmed = 0;
    for party in named.filter(|party| party.subject.is_some() || is_unknown(&party.leg)) {
        confirmed += usize::from(vouch(tx, conversation, &party.leg, vouched).await?);
    }
    Ok(Naming::Done(
        fresh.len() + heard.len() + present.len() + confirmed,
    ))
}

/// Extends the vouching of an existing party. Returns whether it changed.
async fn vouch(
    tx: &mut Tx,
    conversation: &Conversation,
    leg: &LegName,
    vouched: &Vouched,
) -> Result<bool, Error> {
    const BEFORE: &str = "/* parties.vouched_before */ SELECT vouched_for FROM parties WHERE conversation = $1 AND leg = $2";
    const SQL: &str = "/* parties.vouch */ UPDATE parties SET vouched_for = $3 WHERE conversation = $1 AND leg = $2 AND vouched_for = $4";
    let place = [Arg::Text(conversation.as_str()), Arg::Text(leg.as_str())];
    let before = tx
        .fetch_first(BEFORE, &place)
        .await?
        .map(|row| row.text("vouched_for"))
        .transpose()?;
    let before = before.unwrap_or_default();
    let Some(after) = vouched.beyond(&before) else {
        return Ok(false);
    };
    let [conversation, leg] = place;
    let args = [conversation, leg, Arg::Text(&after), Arg::Text(&before)];
    match tx.execute(SQL, &args).await? {
        1 => Ok(true),
        _ => Err(Error::Conflict),
    }
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
    let parties = of(tx, conversations).await?;
    let people = parties.values().flatten().filter_map(|party| party.subject);
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
    let Some(subject) = subject.filter(|_| vouched.0 != Vouched::FOR_ALL) else {
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

/// Replaces the party of a leg, by another person or by an unknown one.
///
/// # Errors
/// [`Error::Stale`] if the conversation has no such leg.
pub async fn correct(
    tx: &mut Tx,
    conversation: &Conversation,
    leg: &LegName,
    subject: Option<SubjectId>,
    vouched: &Vouched,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* parties.correct */
        UPDATE parties SET subject = $3, named_at = $4, vouched_for = $5 WHERE conversation = $1 AND leg = $2";
    lock(tx, conversation, subject).await?;
    let named_at = named_at(tx, subject, vouched, now).await?;
    let subject = subject.map(|subject| subject.to_string());
    let args = [
        Arg::Text(conversation.as_str()),
        Arg::Text(leg.as_str()),
        Arg::MaybeText(subject.as_deref()),
        Arg::Int(named_at.as_millis()),
        Arg::Text(&vouched.0),
    ];
    tx.execute_one(SQL, &args, "the conversation has no party at this place")
        .await
}

/// Returns the parties of each of these conversations that has any, by leg.
pub async fn of(
    tx: &mut Tx,
    conversations: &[Conversation],
) -> Result<BTreeMap<Conversation, Vec<Party>>, Error> {
    let all = with_vouched(tx, conversations).await?;
    let parties = |named: Vec<(Party, Vouched)>| named.into_iter().map(|(party, _)| party);
    Ok(all
        .into_iter()
        .map(|(conversation, named)| (conversation, parties(named).collect()))
        .collect())
}

/// Like [`of`], each with the accounts for which its naming is vouched.
pub(super) async fn with_vouched(
    tx: &mut Tx,
    conversations: &[Conversation],
) -> Result<BTreeMap<Conversation, Vec<(Party, Vouched)>>, Error> {
    const SQL: &str = formatcp!(
        "/* parties.of */ SELECT {} FROM parties
        WHERE conversation IN (SELECT key FROM json_each($1)) ORDER BY conversation, leg",
        StoredParty::COLUMNS
    );
    let mut parties: BTreeMap<Conversation, Vec<(Party, Vouched)>> = BTreeMap::new();
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
        let vouched = Vouched(row.vouched_for);
        let named = parties.entry(row.conversation).or_default();
        named.push((party, vouched));
    }
    Ok(parties)
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
        SELECT conversation, leg FROM parties WHERE subject = $1 AND (conversation, leg) > ($2, $3)
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
