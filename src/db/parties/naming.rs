//! The naming of parties, in one scope.

use std::collections::BTreeMap;

use const_format::formatcp;

use super::{PartyNaming, StoredParty, lock, named_at, namings, vouched::Vouched};
use crate::{
    db::{
        error::Error,
        table::TableRow as _,
        tx::{Arg, Tx},
    },
    model::{
        name::LegName,
        subject::{Conversation, Party, PartyScope, Presence},
        time::Timestamp,
    },
};

/// The result of naming parties of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The names were accepted. The count is of the legs that changed: new legs, legs that became
    /// known, got a channel or a presence, or are vouched for more accounts.
    Done(usize),
    /// Nothing was written: these legs have other parties.
    Taken(Vec<LegName>),
}

/// Names parties in a scope: inserts new legs, identifies parties that were unknown, and adds
/// channels. Naming the same parties again changes nothing, and a known party does not become
/// unknown.
///
/// # Errors
/// [`Error::Conflict`] if another writer named the same leg meanwhile. A retry of the unit finds
/// it.
pub async fn name(
    tx: &mut Tx,
    conversation: &Conversation,
    scope: &PartyScope,
    parties: &[Party],
    vouched: &Vouched,
    now: Timestamp,
) -> Result<Naming, Error> {
    const SQL: &str = formatcp!(
        "/* parties.name */ {}
        ON CONFLICT (conversation, account, leg) DO UPDATE
        SET subject = excluded.subject, named_at = excluded.named_at, channel = COALESCE(parties.channel, excluded.channel),
          vouched_for = excluded.vouched_for, joined_at = excluded.joined_at, left_at = excluded.left_at
        WHERE parties.subject IS NULL AND excluded.subject IS NOT NULL",
        StoredParty::INSERT
    );
    const CHANNEL: &str = "/* parties.note_channel */
        UPDATE parties SET channel = $4 WHERE conversation = $1 AND account = $2 AND leg = $3 AND channel IS NULL";
    const PRESENCE: &str = "/* parties.note_presence */
        UPDATE parties SET joined_at = $4, left_at = $5 WHERE conversation = $1 AND account = $2 AND leg = $3";
    let subjects = parties.iter().filter_map(|party| party.subject);
    lock(tx, conversation, subjects).await?;
    let mut all = namings(tx, std::slice::from_ref(conversation)).await?;
    let mut all = all.remove(conversation).unwrap_or_default();
    all.retain(|named| named.scope.meets(scope));
    let (own, others): (Vec<PartyNaming>, Vec<PartyNaming>) =
        all.into_iter().partition(|named| named.scope == *scope);
    let mut known: BTreeMap<LegName, Party> = own
        .into_iter()
        .map(|named| (named.party.leg.clone(), named.party))
        .collect();
    let mut fresh = BTreeMap::new();
    let mut heard = BTreeMap::new();
    let mut present = BTreeMap::new();
    let mut taken = Vec::new();
    for party in parties {
        let there = others.iter().filter(|named| named.party.leg == party.leg);
        let is_other = |named: &PartyNaming| {
            let theirs = named.party.subject;
            theirs.is_some() && party.subject.is_some() && theirs != party.subject
        };
        if there.clone().any(is_other) {
            taken.push(party.leg.clone());
            continue;
        }
        let before = known.get(&party.leg).cloned();
        if before.is_none() && says_nothing(party) && there.count() > 0 {
            continue;
        }
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
            scope: scope.clone(),
            leg: leg.clone(),
            subject: party.subject,
            named_at: named_at(tx, party.subject, vouched, now).await?,
            vouched_for: vouched.as_str().to_owned(),
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
                Arg::Text(scope.as_str()),
                Arg::Text(leg.as_str()),
                Arg::Int((*channel).into()),
            ],
        )
        .await?;
    }
    for (leg, presence) in &present {
        let [joined, left] = [presence.joined_at, presence.left_at]
            .map(|at| Arg::MaybeInt(at.map(Timestamp::as_millis)));
        let place = place(conversation, scope, leg);
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
        confirmed += usize::from(vouch(tx, (conversation, scope, &party.leg), vouched).await?);
    }
    Ok(Naming::Done(
        fresh.len() + heard.len() + present.len() + confirmed,
    ))
}

/// Extends the vouching of an existing party. Returns whether it changed.
async fn vouch(
    tx: &mut Tx,
    (conversation, scope, leg): (&Conversation, &PartyScope, &LegName),
    vouched: &Vouched,
) -> Result<bool, Error> {
    const BEFORE: &str = "/* parties.vouched_before */ 
        SELECT vouched_for FROM parties WHERE conversation = $1 AND account = $2 AND leg = $3";
    const SQL: &str = "/* parties.vouch */ 
        UPDATE parties SET vouched_for = $4 WHERE conversation = $1 AND account = $2 AND leg = $3 AND vouched_for = $5";
    let place = place(conversation, scope, leg);
    // Of somebody who was named for others too, there may be no naming of its own.
    let Some(row) = tx.fetch_first(BEFORE, &place).await? else {
        return Ok(false);
    };
    let before = row.text("vouched_for")?;
    let Some(after) = vouched.beyond(&before) else {
        return Ok(false);
    };
    let said = [Arg::Text(&after), Arg::Text(&before)];
    match tx.execute(SQL, &[place.as_slice(), &said].concat()).await? {
        1 => Ok(true),
        _ => Err(Error::Conflict),
    }
}

/// The first values of a statement about one naming.
fn place<'a>(
    conversation: &'a Conversation,
    scope: &'a PartyScope,
    leg: &'a LegName,
) -> [Arg<'a>; 3] {
    [
        Arg::Text(conversation.as_str()),
        Arg::Text(scope.as_str()),
        Arg::Text(leg.as_str()),
    ]
}

/// Returns whether all that is told of a party is that somebody is there.
fn says_nothing(party: &Party) -> bool {
    party.subject.is_none() && party.channel.is_none() && party.presence == Presence::ALWAYS
}
