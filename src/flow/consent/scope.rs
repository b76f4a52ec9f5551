//! Of which accounts somebody speaks.
//!
//! Owns the scopes of a permit, in which parties are named and statements count. Refuses to name and
//! to record.

use std::collections::BTreeSet;

use crate::{
    db::{self, Tx, parties, quarantine},
    flow::error::Error,
    model::{
        actor::Initiator,
        subject::{Conversation, Party, PartyScope},
    },
    policy::{Permit, PermitAction, action},
};

/// Checks that the permit covers all accounts: a statement about a person applies to every account.
pub(super) fn everywhere(permit: &Permit<action::Consent>) -> Result<(), Error> {
    if permit.accounts().is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(
        "`subject`: a person spans all accounts, and your access does not cover all of them; name \
         `call` and `leg`"
            .into(),
    ))
}

/// Returns the scopes in which somebody with this permit names parties.
pub(super) fn scopes_of<A: PermitAction>(permit: &Permit<A>) -> Vec<PartyScope> {
    match permit.accounts() {
        all if all.is_empty() => vec![PartyScope::Every],
        some => some.iter().map(PartyScope::from).collect(),
    }
}

/// Returns the parties of a conversation, as they count in any of these scopes.
pub(super) async fn parties_in(
    tx: &mut Tx,
    scopes: &[PartyScope],
    conversation: &Conversation,
) -> Result<Vec<Party>, db::Error> {
    let only = std::slice::from_ref(conversation);
    let mut all = BTreeSet::new();
    for scope in scopes {
        let found = parties::of(tx, scope, only).await?;
        all.extend(found.into_values().flatten());
    }
    Ok(all.into_iter().collect())
}

/// Checks that the permit covers an account of each of these conversations, or of one that has no
/// recording. What is said of it counts for the permit's accounts only, so recordings that another
/// account claims to have of it are no reason to refuse.
pub(super) async fn covers(
    tx: &mut Tx,
    permit: &Permit<action::Consent>,
    conversations: &[Conversation],
) -> Result<(), Error> {
    if permit.accounts().is_empty() || permit.initiator() == Initiator::Vault {
        return Ok(());
    }
    for conversation in conversations {
        let accounts = quarantine::accounts_of(tx, std::slice::from_ref(conversation)).await?;
        if !accounts.is_empty() && !accounts.iter().any(|account| permit.covers(account)) {
            return Err(Error::NotFound);
        }
    }
    Ok(())
}
